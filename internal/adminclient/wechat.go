package adminclient

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// What can be asked of WeChat through the service, with the credentials of a merchant that it has.
const (
	UpstreamPath   = "path"   // getPath
	UpstreamOrder  = "order"  // getOrder
	UpstreamOrders = "orders" // batchGetOrder
)

// maxUpstream is how long many orders may take beyond the client's time-out.
const maxUpstream = 2 * time.Minute

// Upstream asks WeChat through the service. body has the document's own fields, and merchant; so has the answer, which
// may be WeChat's refusal.
func (c *Client) Upstream(ctx context.Context, what string, body any) (json.RawMessage, error) {
	return c.do(ctx, request{method: http.MethodPost, path: "/admin/v1/wechat/" + what, body: body, longer: maxUpstream})
}
