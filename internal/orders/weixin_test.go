package orders

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrier/internal/callback"
	"carrier/internal/problem"
)

// weixin is WeChat towards one account, by the documents and not by package callback: a mistake there must not be
// repeated here.
type weixin struct {
	t       testing.TB
	service *Service
	account string
	token   string
	key     string // EncodingAESKey; empty: plain.
	appID   string
	json    bool
	created int64 // CreateTime of the messages; 0: now.
}

const (
	pushToken = "pushToken1"
	aesKey    = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	appID     = "wxba5fad812f8e6fb9"
)

func keysFor(t testing.TB, key string) callback.Keys {
	t.Helper()
	k, err := callback.NewKeys(callback.Settings{Token: pushToken, EncodingAESKey: key, AppID: appID, Window: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// answer is what WeChat gets.
type answer struct {
	status int
	text   string // The body, decrypted.
	ResultCode,
	ResultMsg, WayBillID, OrderID, BizID, Token, WaybillData, Quota, ToUserName, FromUserName, Event string
}

// envelope is the outside of an encrypted message.
type envelope struct {
	XMLName      xml.Name `xml:"xml" json:"-"`
	ToUserName   string   `xml:",omitempty" json:",omitempty"`
	Encrypt      string
	MsgSignature string `xml:",omitempty" json:",omitempty"`
	TimeStamp    int64  `xml:",omitempty" json:",omitempty"`
	Nonce        string `xml:",omitempty" json:",omitempty"`
}

// sent is a request that can be sent again.
type sent struct {
	query url.Values
	body  []byte
}

// event makes a message of a template of fields: name, value, name, value.
func (x *weixin) event(name string, fields ...string) []byte {
	all := append([]string{"ToUserName", "gh_carrier", "FromUserName", "oWeChat", "CreateTime", strconv.FormatInt(cmp.Or(x.created, time.Now().Unix()), 10),
		"MsgType", "event", "Event", name}, fields...)
	return x.write(all)
}

func (x *weixin) write(fields []string) []byte {
	var b bytes.Buffer
	if x.json {
		m := map[string]any{}
		for i := 0; i < len(fields); i += 2 {
			m[fields[i]] = fields[i+1]
			if strings.HasPrefix(fields[i+1], "{") || strings.HasPrefix(fields[i+1], "[") {
				m[fields[i]] = json.RawMessage(fields[i+1])
			}
		}
		_ = json.NewEncoder(&b).Encode(m)
		return b.Bytes()
	}
	b.WriteString("<xml>")
	for i := 0; i < len(fields); i += 2 {
		value := "<![CDATA[" + fields[i+1] + "]]>"
		if strings.HasPrefix(fields[i+1], "<") {
			value = fields[i+1]
		}
		fmt.Fprintf(&b, "<%[1]s>%[2]s</%[1]s>", fields[i], value)
	}
	b.WriteString("</xml>")
	return b.Bytes()
}

// seal signs a message, and encrypts it if there is a key.
func (x *weixin) seal(message []byte, at time.Time) sent {
	timestamp, nonce := strconv.FormatInt(at.Unix(), 10), strconv.FormatUint(uint64(at.UnixNano()), 36)+rand.Text()[:4]
	s := sent{url.Values{"timestamp": {timestamp}, "nonce": {nonce}, "signature": {sha(x.token, timestamp, nonce)}, "openid": {"oWeChat"}}, message}
	if x.key == "" {
		return s
	}
	encrypt := x.encrypt(message)
	s.query.Set("encrypt_type", "aes")
	s.query.Set("msg_signature", sha(x.token, timestamp, nonce, encrypt))
	e := envelope{ToUserName: "gh_carrier", Encrypt: encrypt}
	if x.json {
		s.body, _ = json.Marshal(e)
	} else {
		s.body, _ = xml.Marshal(e)
	}
	return s
}

func sha(texts ...string) string {
	slices.Sort(texts)
	sum := sha1.Sum([]byte(strings.Join(texts, "")))
	return hex.EncodeToString(sum[:])
}

func (x *weixin) block() (cipher.Block, []byte) {
	key, err := base64.StdEncoding.DecodeString(x.key + "=")
	if err != nil {
		x.t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		x.t.Fatal(err)
	}
	return block, key[:16]
}

func (x *weixin) encrypt(message []byte) string {
	block, iv := x.block()
	plain := make([]byte, 16, 64+len(message))
	_, _ = rand.Read(plain)
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(message)))
	plain = append(append(plain, message...), x.appID...)
	pad := 32 - len(plain)%32
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain)
}

// open reads an encrypted reply, and checks everything about it.
func (x *weixin) open(body []byte, nonce string) []byte {
	x.t.Helper()
	var e envelope
	err := xml.Unmarshal(body, &e)
	if x.json {
		err = json.Unmarshal(body, &e)
	}
	if err != nil || e.Nonce != nonce || e.MsgSignature != sha(x.token, strconv.FormatInt(e.TimeStamp, 10), nonce, e.Encrypt) {
		x.t.Errorf("the envelope of a reply: %v: %s", err, body)
		return nil
	}
	sealed, err := base64.StdEncoding.DecodeString(e.Encrypt)
	if err != nil || len(sealed)%32 != 0 {
		x.t.Errorf("the reply has %d bytes: %v", len(sealed), err)
		return nil
	}
	block, iv := x.block()
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(sealed, sealed)
	n := binary.BigEndian.Uint32(sealed[16:20])
	if rest := string(sealed[20+n:]); !strings.HasPrefix(rest, x.appID) {
		x.t.Errorf("the reply ends with %q", rest)
	}
	return sealed[20 : 20+n]
}

// send makes the request, and reads the answer.
func (x *weixin) send(s sent) answer {
	x.t.Helper()
	r := httptest.NewRequestWithContext(x.t.Context(), http.MethodPost, "/wechat/"+x.account+"/callback?"+s.query.Encode(), bytes.NewReader(s.body))
	w := httptest.NewRecorder()
	if err := x.service.Callback(w, r, x.account); err != nil {
		return x.problem(err)
	}
	body, _ := io.ReadAll(w.Result().Body)
	a := answer{status: w.Code, text: string(body)}
	if w.Code != http.StatusOK || a.text == "success" {
		return a
	}
	if x.key != "" {
		body = x.open(body, s.query.Get("nonce"))
		a.text = string(body)
	}
	x.read(body, &a)
	return a
}

// problem is what the server makes of a handler's error.
func (x *weixin) problem(err error) answer {
	x.t.Helper()
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok {
		x.t.Errorf("the handler fails with %v, which is no problem", err)
		return answer{status: http.StatusInternalServerError}
	}
	return answer{status: p.Status(), text: string(p.JSON(problem.English))}
}

func (x *weixin) read(body []byte, a *answer) {
	x.t.Helper()
	err := xml.Unmarshal(body, &struct {
		XMLName xml.Name `xml:"xml"`
		*answer
	}{answer: a})
	if x.json {
		var m map[string]any
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		err = dec.Decode(&m)
		for name, into := range map[string]*string{
			"ResultCode": &a.ResultCode, "ResultMsg": &a.ResultMsg, "WayBillID": &a.WayBillID, "OrderID": &a.OrderID, "BizID": &a.BizID, "Token": &a.Token,
			"WaybillData": &a.WaybillData, "Quota": &a.Quota, "ToUserName": &a.ToUserName, "FromUserName": &a.FromUserName, "Event": &a.Event,
		} {
			if m[name] != nil {
				*into = fmt.Sprint(m[name])
			}
		}
	}
	if err != nil {
		x.t.Errorf("the reply can't be read: %v: %s", err, body)
	}
	if a.ToUserName != "oWeChat" || a.FromUserName != "gh_carrier" {
		x.t.Errorf("the reply is from %q to %q", a.FromUserName, a.ToUserName)
	}
}

// push signs, sends and reads an event.
func (x *weixin) push(message []byte) answer {
	x.t.Helper()
	return x.send(x.seal(message, time.Now()))
}

// Personal data and secrets, as they can be recognised.
const (
	canaryPwd     = "canary-BizPwd-4711"
	canaryPhone   = "18612345678"
	canaryAddress = "金丝雀路四十二号"
	canaryName    = "金丝雀先生"
)

// add is an add_waybill.
func (x *weixin) add(orderID, waybillID, token string) []byte {
	person := "<Name>" + canaryName + "</Name><Mobile>" + canaryPhone + "</Mobile><Province>广东省</Province><City>广州市</City><Area>海珠区</Area><Address>" + canaryAddress + "</Address>"
	cargo := "<Weight>1.2</Weight><Space_X>20.5</Space_X><Space_Y>15</Space_Y><Space_Z>10</Space_Z><Count>2</Count>" +
		"<DetailList><Name>a</Name><Count>1</Count></DetailList><DetailList><Name>b</Name><Count>1</Count></DetailList>"
	insured, service := "<UseInsured>1</UseInsured><InsuredValue>10000</InsuredValue>", "<ServiceType>0</ServiceType><ServiceName>标准快递</ServiceName>"
	if x.json {
		person = `{"Name":"` + canaryName + `","Mobile":"` + canaryPhone + `","Province":"广东省","City":"广州市","Area":"海珠区","Address":"` + canaryAddress + `"}`
		cargo = `{"Weight":1.2,"Space_X":20.5,"Space_Y":15,"Space_Z":10,"Count":2,"DetailList":[{"Name":"a","Count":1},{"Name":"b","Count":1}]}`
		insured, service = `{"UseInsured":1,"InsuredValue":10000}`, `{"ServiceType":0,"ServiceName":"标准快递"}`
	}
	return x.event(AddWaybill, "Token", token, "OrderID", orderID, "BizID", "biz", "BizPwd", canaryPwd, "ShopAppID", "wxShop", "WayBillID", waybillID,
		"Remark", "轻放", "Sender", person, "Receiver", person, "Cargo", cargo, "Insured", insured, "Service", service)
}

// cancel is a cancel_waybill.
func (x *weixin) cancel(orderID, waybillID string) []byte {
	return x.event(CancelWaybill, "OrderID", orderID, "BizID", "biz", "BizPwd", canaryPwd, "ShopAppID", "wxShop", "WayBillID", waybillID)
}

// path is an add_express_path with an action for each text, a minute apart.
func (x *weixin) path(waybillID string, version int64, texts ...string) []byte {
	fields := []string{"DeliveryID", "SF", "WayBillId", waybillID, "Version", strconv.FormatInt(version, 10), "Count", strconv.Itoa(len(texts))}
	var list []string
	for i, text := range texts {
		if at := 1533052800 + 60*i; x.json {
			list = append(list, fmt.Sprintf(`{"ActionTime":%d,"ActionType":300001,"ActionMsg":%q,"Lat":0,"Lng":0}`, at, text))
		} else {
			fields = append(fields, "Actions", fmt.Sprintf("<ActionTime>%d</ActionTime><ActionType>300001</ActionType><ActionMsg><![CDATA[%s]]></ActionMsg><Lat>0</Lat><Lng>0</Lng>", at, text))
		}
	}
	if x.json {
		fields = append(fields, "Actions", "["+strings.Join(list, ",")+"]")
	}
	return x.event("add_express_path", append(fields, "OrderId", "order-1")...)
}
