package orders

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// wireAnswer is a dispatch system's answer as it is sent, whichever way. result_code has no default: an empty object,
// such as a proxy's, must not be a yes.
type wireAnswer struct {
	ResultCode  *int              `json:"result_code"`
	ResultMsg   string            `json:"result_msg"`
	WaybillID   string            `json:"waybill_id"`
	WaybillData map[string]string `json:"waybill_data"`
	Quota       int64             `json:"quota"`
}

// ReadAnswer reads {"result_code","result_msg","waybill_id","waybill_data":{KEY:VALUE},"quota"}. Its errors repeat
// nothing of what was sent.
func ReadAnswer(body []byte) (Answer, error) {
	if !utf8.Valid(body) {
		return Answer{}, errors.New("the answer is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	var w *wireAnswer
	if err := dec.Decode(&w); err != nil || w == nil {
		return Answer{}, errors.New(`the answer is no JSON object like {"result_code":0,"waybill_id":"123"}`)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Answer{}, errors.New("the answer goes on after its JSON object")
	}
	if w.ResultCode == nil {
		return Answer{}, errors.New("the answer has no result_code; 0 is a yes")
	}
	return Answer{Code: *w.ResultCode, Msg: w.ResultMsg, WaybillID: w.WaybillID, WaybillData: w.WaybillData, Quota: w.Quota}, nil
}
