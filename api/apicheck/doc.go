// Package apicheck holds requests and answers against the description of the HTTP interface, for tests.
//
//	client := &http.Client{Transport: apicheck.Transport(t, http.DefaultTransport)}
//
// checks everything that passes through, and [Check] one exchange. Of an exchange is checked that
//
//   - the description has the path, the method and the status, and the answer's media type and headers;
//   - the answer's body follows its schema and has no member that the description does not name;
//   - a problem says the status that it came with;
//   - what the service took (a status below 400) is a request that the description allows: parameters, none that is
//     unknown, and the body. What it refused may be anything: that is what the answer is about.
//
// Parameters and headers are kin-openapi's to check. Bodies are checked as JSON Schema 2020-12, which is what OpenAPI 3.1
// means by a schema, over the description as it was written: kin-openapi's own validator falls back to the rules of
// OpenAPI 3.0 in schemas that refer to others.
//
// Not checked: that the credentials are those that the operation asks for, bodies that are no JSON (they are a string,
// and that is all), and NDJSON line by line.
//
// [Async] does the same for messages and the description of the NATS interface.
package apicheck
