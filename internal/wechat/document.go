package wechat

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Document writes what became of a call ("getPath") as its document has it: the answer, or upstream's refusal, which is
// an answer too; in the form of 云调用 if cloud is set. Any other err is given back: there is no answer to be written.
func Document(call string, answer any, err error, cloud bool) ([]byte, error) {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		answer, err = refused.Answer, nil
	}
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if cloud {
		return CloudAnswer(call, body)
	}
	return body, nil
}
