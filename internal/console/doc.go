// Package console is the web pages that operators look at and act by, in Chinese and English.
//
// Pages are made by the server (html/template) and work with JavaScript off; what little script there is makes them
// live and shows times in the viewer's zone. Everything is embedded and served from here: the policy of each page lets
// nothing else in.
//
// A handler gets a [Visit]: who looks, in which language, and the ways to answer (a page, a page to confirm on, back to
// where one came from with a word on what was done). Package server lists every page with who may see it.
package console
