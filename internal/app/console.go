package app

import "carrier/internal/console"

// newConsole makes the console's pages, over what the admin API is over too.
func (a *App) newConsole() (err error) {
	a.console, err = console.New(console.Options{
		Admin: a.admin, Meter: a.meter, Trouble: a.trouble, Log: a.log.With("part", "console"),
	})
	return err
}

// trouble is what keeps the service as a whole from its work; what one account waits for is told with that account.
func (a *App) trouble() []string {
	var all []string
	if err := a.store.Ready(); err != nil {
		all = append(all, err.Error())
	}
	all = append(all, a.merchantTrouble()...)
	if a.bus != nil {
		all = append(all, a.bus.Degraded()...)
	}
	return all
}

// countEvents counts events for /metrics and for the console.
func (a *App) countEvents(source, verdict string, n int) {
	a.metrics.Events(source, verdict, n)
	a.meter.Events(source, verdict, n)
}
