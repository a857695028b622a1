package people

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/emergency"
)

// burnFile says that a burn was begun and its locks are not all done.
const burnFile = "burning"

// BurnOpened is what a patient's device does at each sign-in: every emergency
// set that was opened ends, with a new key and new locks for its lines. It
// says how many there were. One that was broken off goes on at the next
// sign-in.
func (w *World) BurnOpened(ctx context.Context, n *client.Network, p *Person, progress func(client.Relocked)) (count int, err error) {
	n.Refresh(p.ID)
	st, err := n.Log(ctx, p.ID)
	if err != nil {
		return 0, fmt.Errorf("read own key log: %w", err)
	}
	sets := setsOf(st)
	if len(sets) == 0 {
		return 0, nil
	}
	if err := w.goOnBurning(ctx, n, p, sets, progress); err != nil {
		return 0, err
	}
	opened, err := openedOf(ctx, n, p.ID, sets)
	if err != nil || len(opened) == 0 {
		return 0, err
	}
	mark := filepath.Join(w.Dir(p.Handle), burnFile)
	if err := durable.WriteFile(mark, nil, 0o600); err != nil {
		return 0, fmt.Errorf("burn: %w", err)
	}
	for _, id := range opened {
		if _, err := emergency.Burn(ctx, n, p.Hand(), id, w.Relocking(p, n, nil, progress)); err != nil {
			return count, err
		}
		count++
	}
	return count, os.Remove(mark)
}

// setsOf are the live emergency sets of a log.
func setsOf(st *actor.State) map[abaton.GrantID]*actor.Escrow {
	sets := make(map[abaton.GrantID]*actor.Escrow)
	for id, e := range st.Escrows() {
		if e.Kind == actor.EscrowEmergency {
			sets[id] = e
		}
	}
	return sets
}

// openedOf are those of the sets that were opened, as more than f keepers say:
// fewer may make it up.
func openedOf(ctx context.Context, n *client.Network, id abaton.ActorID, sets map[abaton.GrantID]*actor.Escrow) (opened []abaton.GrantID, err error) {
	openings, err := n.Openings(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look for emergencies: %w", err)
	}
	for _, o := range openings {
		if sets[o.Escrow] != nil && len(o.Keepers) > int(n.Set().F) && !slices.Contains(opened, o.Escrow) {
			opened = append(opened, o.Escrow)
		}
	}
	return opened, nil
}

// goOnBurning locks anew what an earlier sign-in did not come to.
func (w *World) goOnBurning(ctx context.Context, n *client.Network, p *Person, sets map[abaton.GrantID]*actor.Escrow, progress func(client.Relocked)) error {
	mark := filepath.Join(w.Dir(p.Handle), burnFile)
	if _, err := os.Stat(mark); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("burn: %w", err)
	}
	var lines []abaton.Line
	for _, e := range sets {
		for _, line := range e.Lines {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	r, err := n.NewRelocker(w.Relocking(p, n, lines, progress))
	if err != nil {
		return fmt.Errorf("burn: %w", err)
	}
	if _, err := r.Run(ctx); err != nil {
		return fmt.Errorf("burn: %w", err)
	}
	return os.Remove(mark)
}
