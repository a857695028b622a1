package people

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
)

// epochsGiven is how many epochs of a line, the newest ones, go with a grant:
// records that are not locked anew yet are under older ones.
const epochsGiven = grant.SeedsMax / abaton.LinesMax

// Relocking is how a patient's device locks the own record anew: lines names
// what of it, nothing all of it.
func (w *World) Relocking(p *Person, n *client.Network, lines []abaton.Line, progress func(client.Relocked)) client.RelockConfig {
	return client.RelockConfig{
		Patient: p.ID, Lines: lines, Locker: p.Manage, Seed: p.Seed, Progress: progress,
		SignIn: func(ctx context.Context) (*client.Reader, error) {
			l, err := w.Direct(ctx, p, n)
			if err != nil {
				return nil, err
			}
			return n.NewReader(l)
		},
	}
}

// upToDate adds to the seeds of a grant those of the epochs announced since.
func (p *Person) upToDate(ctx context.Context, n *client.Network, seeds []grant.Seed) ([]grant.Seed, error) {
	st, err := n.Log(ctx, p.ID)
	if err != nil {
		return nil, fmt.Errorf("read own key log: %w", err)
	}
	var out []grant.Seed
	for _, s := range seeds {
		newest, ok := st.Newest(s.Line)
		if !ok || newest.Epoch == 1 {
			out = append(out, s)
			continue
		}
		for e := newest.Epoch; e >= 1 && newest.Epoch-e < epochsGiven; e-- {
			next := s
			next.Epoch = e
			if !s.Seed.IsZero() {
				next.Seed = p.seedOf(s.Line, s.Category, e)
			}
			out = append(out, next)
		}
	}
	return out, nil
}
