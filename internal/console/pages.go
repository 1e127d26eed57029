package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"

	"carrier/internal/problem"
)

//go:embed templates
var templateFiles embed.FS

// Every page is layout.html with the partials of parts_*.html and the page's own file around its "main". All are parsed
// once for each language, with functions that speak it.
const templateFolder = "templates"

// pages are the parsed templates, by language and then by the page's name.
type pages map[problem.Language]map[string]*template.Template

func parsePages() (pages, error) {
	all := pages{}
	for _, lang := range []problem.Language{problem.English, problem.Chinese} {
		one, err := parseLanguage(lang)
		if err != nil {
			return nil, fmt.Errorf("the console's templates: %w", err)
		}
		all[lang] = one
	}
	return all, nil
}

func parseLanguage(lang problem.Language) (map[string]*template.Template, error) {
	base, err := template.New("layout.html").Funcs(functions(lang)).
		ParseFS(templateFiles, templateFolder+"/layout.html", templateFolder+"/parts_*.html")
	if err != nil {
		return nil, err
	}
	names, err := pageNames()
	if err != nil {
		return nil, err
	}
	one := map[string]*template.Template{}
	for _, name := range names {
		page, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if one[name], err = page.ParseFS(templateFiles, templateFolder+"/"+name+".html"); err != nil {
			return nil, err
		}
	}
	return one, nil
}

// pageNames lists the pages: the files that are neither the layout nor parts of pages.
func pageNames() ([]string, error) {
	files, err := fs.Glob(templateFiles, templateFolder+"/*.html")
	var names []string
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name != "layout" && !strings.HasPrefix(name, "parts_") {
			names = append(names, name)
		}
	}
	return names, err
}

// render makes a page.
func (p pages) render(lang problem.Language, name string, f Frame) ([]byte, error) {
	return p.execute(lang, name, "layout.html", f)
}

// execute fills one template of a page: all of it, or a part.
func (p pages) execute(lang problem.Language, name, part string, f Frame) ([]byte, error) {
	page := p[lang][name]
	if page == nil {
		return nil, fmt.Errorf("there is no page %q", name)
	}
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, part, f); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
