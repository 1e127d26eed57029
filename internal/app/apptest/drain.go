package apptest

import (
	"bytes"
	"io"
)

// drain reads a body to its end, and puts another with the same bytes in its place.
func drain(body *io.ReadCloser) ([]byte, error) {
	text, err := io.ReadAll(*body)
	_ = (*body).Close()
	*body = io.NopCloser(bytes.NewReader(text))
	return text, err
}
