package console

import (
	"context"
	"net/url"
	"time"

	"carrier/internal/admin"
	"carrier/internal/store"
)

// Records is what the pages about dead letters, differences and the audit log need of package admin.
type Records interface {
	Audit(ctx context.Context, by admin.Actor, q store.AuditQuery) (admin.List[admin.AuditItem], error)
}

// DeadLetters shows what came in over NATS and can never be read.
func (c *Console) DeadLetters(v *Visit) error {
	values, err := v.Query()
	if err != nil {
		return err
	}
	q, err := admin.DeadLettersQuery(values, time.Now())
	if err != nil {
		return err
	}
	page, err := c.admin.DeadLetters(v.Context(), v.By, q)
	if err != nil {
		return err
	}
	return v.Show("dead_letters", listView[admin.DeadLetterItem]{page.Items, v.Pager(page.NextCursor)})
}

// Differences shows the waybills of which WeChat does not show what was delivered.
func (c *Console) Differences(v *Visit) error {
	all, err := c.admin.Differences(v.Context())
	if err != nil {
		return err
	}
	return v.Show("differences", all.Items)
}

// auditView is a page of the audit log and the filter that it is of.
type auditView struct {
	listView[admin.AuditItem]
	Filter  url.Values
	Actions []string
}

// Audit shows who did what.
func (c *Console) Audit(v *Visit) error {
	values, err := v.Query()
	if err != nil {
		return err
	}
	q, err := admin.AuditQuery(values, time.Now())
	if err != nil {
		return err
	}
	page, err := c.admin.Audit(v.Context(), v.By, q)
	if err != nil {
		return err
	}
	return v.Show("audit", auditView{listView[admin.AuditItem]{page.Items, v.Pager(page.NextCursor)}, values, store.Actions()})
}
