package client

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
)

// epochTries is how often a new epoch is announced under the next number when
// another device announces one at the same time.
const epochTries = 3

// NewEpoch opens the next epoch of a line: its seed is wrapped to everybody
// who still has a live grant to read the line, so a grant is revoked before.
// seed gives the seed of an epoch. Urgent ends the previous epoch at once,
// else late writes may come under it for abaton.EpochGrace.
func (n *Network) NewEpoch(ctx context.Context, h Hand, line abaton.Line, urgent bool, seed func(abaton.Line, uint32) (grant.Seed, bool)) (p Published, err error) {
	for range epochTries {
		n.Refresh(h.Actor)
		state, err := n.Log(ctx, h.Actor)
		if err != nil {
			return Published{}, fmt.Errorf("new epoch: %w", err)
		}
		newest, ok := state.Newest(line)
		if !ok {
			return Published{}, fmt.Errorf("new epoch: %w", abaton.Refuse(abaton.ReasonWriter))
		}
		next, ok := seed(line, newest.Epoch+1)
		if !ok {
			return Published{}, fmt.Errorf("new epoch: %w", ErrNoSeed)
		}
		next.Level = newest.Level
		if p, err = n.Announce(ctx, h, next, urgent); reasonOf(err) != abaton.ReasonEpoch {
			return p, err
		}
	}
	return p, err
}

// Ending is who is to read no more, and how.
type Ending struct {
	// Hand signs for the patient.
	Hand Hand
	// Revoke are the grants taken back first; none where that was done, or
	// where a seed is burned for another reason.
	Revoke []abaton.GrantID
	// Lines get a new epoch; none means the lines of the revoked grants.
	Lines []abaton.Line
	// Urgent also ends the time in which locks to the old epochs are accepted.
	Urgent bool
	// Stage hears what was done; nil hears nothing. It comes once for each
	// grant and each line.
	Stage func(Stage)
}

// Stage is one event of an Ending that is in force.
type Stage struct {
	Grant abaton.GrantID // revoked; zero for an epoch
	Line  abaton.Line    // with a new epoch; zero for a revocation
	Published
}

// Relock ends somebody's reading for good: it takes grants back, opens a new
// epoch of each line, and locks everything there anew. From the revocation on
// keepers release nothing to the grantee; from the new epoch on new records are
// sealed to a key they never had; at the end no record opens with the old ones,
// whoever shows up with them and whatever t-1 keepers' disks they bring. It
// can be stopped after any step and called again without Revoke and with
// Lines of its own, or finished by a Relocker.
func (n *Network) Relock(ctx context.Context, e Ending, c RelockConfig) (*Relocked, error) {
	lines, err := n.linesOf(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("re-lock: %w", err)
	}
	tell := e.Stage
	if tell == nil {
		tell = func(Stage) {}
	}
	for _, id := range e.Revoke {
		p, err := n.Revoke(ctx, e.Hand, id, e.Urgent)
		if err != nil {
			return nil, err
		}
		tell(Stage{Grant: id, Published: p})
	}
	for _, line := range lines {
		p, err := n.NewEpoch(ctx, e.Hand, line, e.Urgent, c.Seed)
		if err != nil {
			return nil, err
		}
		tell(Stage{Line: line, Published: p})
	}
	c.Lines = lines
	r, err := n.NewRelocker(c)
	if err != nil {
		return nil, err
	}
	return r.Run(ctx)
}

// linesOf are the lines that get a new epoch.
func (n *Network) linesOf(ctx context.Context, e Ending) ([]abaton.Line, error) {
	if len(e.Lines) > 0 {
		return e.Lines, nil
	}
	n.Refresh(e.Hand.Actor)
	state, err := n.Log(ctx, e.Hand.Actor)
	if err != nil {
		return nil, err
	}
	seen := make(map[abaton.Line]bool)
	var lines []abaton.Line
	for _, id := range e.Revoke {
		g, _ := state.Grant(id)
		if g == nil {
			return nil, abaton.ErrNotFound
		}
		for _, line := range g.Lines {
			if !seen[line] {
				seen[line] = true
				lines = append(lines, line)
			}
		}
	}
	return lines, nil
}
