package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"
)

// client pushes the same thing over and over with net/http: what the machine and the standard library allow.
type client struct{ role }

func newClient(r role) *client { return &client{r} }

func (c *client) hello() hello { return hello{} }

// pushBody is a push like the service's, about as long.
var pushBody = fmt.Sprintf(`{"token":"T%012d","waybill_id":"%012d","action_time":1533052800,"action_type":200001,"action_msg":%q}`,
	0, 0, journey[2].msg)

func (c *client) run(ctx context.Context) error {
	transport := &http.Transport{
		MaxConnsPerHost: c.Concurrency, MaxIdleConnsPerHost: c.Concurrency, DisableCompression: true,
	}
	defer transport.CloseIdleConnections()
	hc := &http.Client{Transport: transport}
	url := c.Upstream + "/cgi-bin/express/delivery/path/update?access_token=bench"
	g, ctx := errgroup.WithContext(ctx)
	for range c.Concurrency {
		g.Go(func() error {
			for ctx.Err() == nil {
				if err := post(ctx, hc, url); err != nil {
					return ended(ctx, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func post(ctx context.Context, hc *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(pushBody))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
