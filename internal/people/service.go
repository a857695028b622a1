package people

import (
	"context"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/session"
)

// Times of an agent's device.
const (
	// heartbeat is how often the device asks whether its session still holds:
	// a gateway that was started anew has forgotten it.
	heartbeat = 500 * time.Millisecond
	// lookInterval is how often it looks for grants given since.
	lookInterval = 5 * time.Second
	// renewSpare is how long before its end a session is asserted again.
	renewSpare = 10 * time.Minute
)

// Serve plays an agent's device: it signs the agent in at the gateway, lends
// what patients give the agent as they give it, and signs in again before the
// session ends or when the gateway has forgotten it. It returns when ctx ends.
// n must ask with the agent's key.
func (w *World) Serve(ctx context.Context, n *client.Network, p *Person, url string) {
	d := &serving{w: w, n: n, p: p, url: url}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		if err := d.beat(ctx); err != nil {
			d.s = nil // the gateway or too few keepers are there: begin again
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// serving is an agent's device at work.
type serving struct {
	w      *World
	n      *client.Network
	p      *Person
	url    string
	s      *Session
	empty  *login.More // lends nothing: asks whether the session holds
	lent   map[abaton.GrantID]bool
	looked time.Time
}

// beat does what is due.
func (d *serving) beat(ctx context.Context) error {
	if d.s == nil || time.Until(d.s.Expires) < renewSpare {
		return d.begin(ctx)
	}
	if time.Since(d.looked) < lookInterval {
		return d.s.post(ctx, "/login/seeds", d.empty, nil)
	}
	bundles, err := d.held(ctx)
	if err != nil {
		return nil // too few keepers now; the session is none the worse
	}
	return d.lend(ctx, bundles)
}

func (d *serving) begin(ctx context.Context) error {
	d.lent = make(map[abaton.GrantID]bool)
	bundles, err := d.held(ctx)
	if err != nil {
		return err
	}
	if d.s, err = d.w.SignIn(ctx, d.p, d.url, bundles); err != nil {
		return err
	}
	for _, b := range bundles {
		d.lent[b.Grant] = true
	}
	d.empty, err = login.Add(d.s.offer, d.s.done, nil)
	return err
}

func (d *serving) held(ctx context.Context) ([]session.Bundle, error) {
	granted, err := d.n.Granted(ctx, d.p.ID)
	if err != nil {
		return nil, err
	}
	d.n.Refresh(granted...)
	bundles, err := d.p.HeldOf(ctx, d.n, granted...)
	if err == nil {
		d.looked = time.Now()
	}
	return bundles, err
}

// lend lends what was not lent yet.
func (d *serving) lend(ctx context.Context, bundles []session.Bundle) error {
	var fresh []session.Bundle
	for _, b := range bundles {
		if !d.lent[b.Grant] {
			fresh = append(fresh, b)
		}
	}
	if len(fresh) == 0 {
		return d.s.post(ctx, "/login/seeds", d.empty, nil)
	}
	if err := d.s.Lend(ctx, fresh); err != nil {
		return err
	}
	for _, b := range fresh {
		d.lent[b.Grant] = true
	}
	return nil
}
