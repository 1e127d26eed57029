package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/wechat"
)

// upstreamPath, upstreamOrder and upstreamOrders ask WeChat for a merchant. Requests and answers have the documents' own
// fields; with ?style=cloud those of 云调用.
func (h *adminAPI) upstreamPath(c echo.Context) error {
	in, err := styleOf(c)
	if err != nil {
		return err
	}
	var name string
	var q wechat.PathQuery
	if err := readBody(c, text("merchant", &name), in.text("order_id", &q.OrderID), in.text("openid", &q.OpenID),
		in.text("delivery_id", &q.DeliveryID), in.text("waybill_id", &q.WaybillID)); err != nil {
		return err
	}
	path, err := h.UpstreamPath(c.Request().Context(), actor(c), name, q)
	return in.answer(c, "getPath", path, err)
}

func (h *adminAPI) upstreamOrder(c echo.Context) error {
	in, err := styleOf(c)
	if err != nil {
		return err
	}
	var name string
	var q wechat.OrderQuery
	if err := readBody(c, append(in.order(&q.OrderRef), text("merchant", &name), in.text("openid", &q.OpenID), in.printType(&q.PrintType))...); err != nil {
		return err
	}
	order, err := h.UpstreamOrder(c.Request().Context(), actor(c), name, q)
	return in.answer(c, "getOrder", order, err)
}

// maxReading bounds the time that many orders may take: a few calls, one after the other.
const maxReading = 2 * time.Minute

func (h *adminAPI) upstreamOrders(c echo.Context) error {
	in, err := styleOf(c)
	if err != nil {
		return err
	}
	if err := http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(maxReading)); err != nil {
		return err
	}
	var name string
	var orders []wechat.OrderRef
	var errs []problem.FieldError
	if err := readBody(c, text("merchant", &name), in.orders(&orders, &errs)); err != nil {
		return err
	}
	if err := refused(errs); err != nil {
		return err
	}
	list, err := h.UpstreamOrders(c.Request().Context(), actor(c), name, orders)
	return in.answer(c, "batchGetOrder", list, err)
}

// style is the form of requests and answers.
type style struct{ cloud bool }

// styleOf reads ?style=, the only parameter of these calls.
func styleOf(c echo.Context) (style, error) {
	values, err := parameters(c)
	if err != nil {
		return style{}, err
	}
	given, ok := values["style"]
	delete(values, "style")
	if err := admin.NoQuery(values); err != nil || !ok {
		return style{}, err
	}
	if len(given) != 1 || !slices.Contains([]string{"https", "cloud"}, given[0]) {
		p := problem.New(problem.InvalidFilter)
		p.Errors = []problem.FieldError{{Field: "style", Code: "value", Message: problem.Text{
			En: "style must be given once, as https (snake_case, the default) or cloud (camelCase, as in 云调用).",
			Zh: "style 只能出现一次，取值为 https（下划线命名，默认）或 cloud（云调用的驼峰命名）。"}}}
		return style{}, p
	}
	return style{cloud: given[0] == "cloud"}, nil
}

// name is a document's field in this style.
func (s style) name(field string) string {
	if s.cloud {
		return wechat.CloudName(field)
	}
	return field
}

func (s style) text(field string, into *string) member { return text(s.name(field), into) }

// printType is 0 or 1, and no other number.
func (s style) printType(into *int) member {
	return member{s.name("print_type"), func(raw json.RawMessage) string {
		switch string(raw) {
		case "0", "1":
			*into = int(raw[0] - '0')
			return ""
		}
		return "number: 0 (二联) or 1 (一联)"
	}}
}

// order is the members that name an order.
func (s style) order(into *wechat.OrderRef) []member {
	return []member{s.text("order_id", &into.OrderID), s.text("delivery_id", &into.DeliveryID), s.text("waybill_id", &into.WaybillID)}
}

// orders reads a list of them. What is wrong inside is added to errs, under its path.
func (s style) orders(into *[]wechat.OrderRef, errs *[]problem.FieldError) member {
	list := s.name("order_list")
	return member{list, func(raw json.RawMessage) string {
		var items []json.RawMessage
		if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
			return "list of orders"
		}
		*into = make([]wechat.OrderRef, len(items))
		for i, item := range items {
			path := fmt.Sprintf("%s[%d]", list, i)
			if item[0] != '{' {
				*errs = append(*errs, wrongType(path, "JSON object"))
				continue
			}
			takeMembers(item, path+".", errs, s.order(&(*into)[i]))
		}
		return ""
	}}
}

// answer writes what became of a call as its document has it: a refusal of WeChat's is an answer like another.
func (s style) answer(c echo.Context, call string, v any, err error) error {
	body, err := wechat.Document(call, v, err, s.cloud)
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, body)
}
