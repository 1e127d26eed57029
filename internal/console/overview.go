package console

// Overview shows how the service is, at a glance.
func (c *Console) Overview(v *Visit) error {
	return v.Show("overview", c.admin.AccountList().Items)
}
