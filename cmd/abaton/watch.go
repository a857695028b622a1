package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/people"
)

func newWatchCommand(e *env) *cobra.Command {
	return noun("watch", "Whom the keepers hold back, why, and how to undo it", newWatchStatus(e), newWatchList(e), newWatchExplain(e), newWatchStop(e), newWatchLift(e), newWatchSend(e))
}

// heldSubject is one subject as the keepers hold it, and watch status --json.
type heldSubject struct {
	Kind     string       `json:"kind"`
	Subject  string       `json:"subject"`
	Who      string       `json:"who,omitempty"` // a handle, where one is known here
	Keepers  []heldKeeper `json:"keepers"`
	Verdicts []string     `json:"verdicts"` // what a lift names
	Why      []string     `json:"why"`      // in plain words
	names    [][32]byte
}

// heldKeeper is what one keeper does.
type heldKeeper struct {
	Keeper int    `json:"keeper"`
	Level  string `json:"level"`
	By     []int  `json:"by"` // by whose word
	Proof  bool   `json:"proof"`
	Since  uint64 `json:"since"` // unix seconds
	Until  uint64 `json:"until"`
	level  detect.Level
}

func newWatchStatus(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "status", Short: "Who is held back, at which keepers, since when, why", Args: cobra.NoArgs,
		Long: `Who of the clinic is held back, at which keepers, since when and why. Each keeper
writes into its ledger that you asked.`,
		Example: "  abaton watch status",
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			held, err := m.held(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(struct {
					V    int           `json:"v"`
					Held []heldSubject `json:"held"`
				}{1, held})
			}
			e.printHeld(held)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// held is what all keepers say, by subject, those held furthest first.
func (m *employer) held(ctx context.Context) ([]heldSubject, error) {
	all, err := m.net.Held(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	known, err := names(m.at)
	if err != nil {
		return nil, err
	}
	return gatherHeld(all, known), nil
}

func gatherHeld(all []client.Held, known map[abaton.ActorID]string) []heldSubject {
	slices.SortStableFunc(all, func(a, b client.Held) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), cmp.Compare(a.Keeper, b.Keeper))
	})
	out, whose := []heldSubject{}, whoseVerdicts(all)
	for _, h := range all {
		id := hex.EncodeToString(h.Subject[:])
		i := slices.IndexFunc(out, func(s heldSubject) bool { return s.Subject == id })
		if i < 0 {
			i = len(out)
			out = append(out, heldSubject{Kind: contain.Kind(h.Kind).String(), Subject: id, Who: known[h.Subject]})
		}
		s := &out[i]
		s.Keepers = append(s.Keepers, heldOf(h.Keeper, &h.Held))
		for _, v := range h.Verdicts {
			if !slices.Contains(s.names, v) && whose(v, heldAs{h.Kind, h.Subject}) {
				s.names, s.Verdicts = append(s.names, v), append(s.Verdicts, hex.EncodeToString(v[:]))
			}
		}
		for _, why := range whyHeld(detect.Rules(h.Rules)) {
			if !slices.Contains(s.Why, why) {
				s.Why = append(s.Why, why)
			}
		}
	}
	return out
}

func (e *env) printHeld(held []heldSubject) {
	if len(held) == 0 {
		e.say("Nobody is held back.")
		return
	}
	for _, s := range held {
		name := s.Who
		if name == "" {
			name = s.Subject[:16]
		}
		e.print("%s %s: %s\n", s.Kind, name, strings.Join(s.Why, "; "))
		for _, k := range s.Keepers {
			e.print("  keeper %d: %s since %s, by the word of %s, until %s\n", k.Keeper, k.Level, clockTime(k.Since),
				strings.Trim(fmt.Sprint(k.By), "[]"), clockTime(k.Until))
		}
	}
	e.say("A suspended clinician still opens patients in care, each time with a second clinician. Undo: abaton watch lift WHO.")
}

// liftReasons are the words of --why.
var liftReasons = map[string]actor.Why{"mistaken": actor.Mistaken, "explained": actor.Explained, "ended": actor.Ended}

func newWatchLift(e *env) *cobra.Command {
	var why string
	var asJSON bool
	var managers int
	c := &cobra.Command{Use: "lift WHO", Short: "Undo what the keepers found about somebody", Args: cobra.ExactArgs(1),
		Long: `Ends every verdict about a person, a device or a session (its name, as list prints
it), and what the clinic itself suspended for a time, signed by as many managers as
the clinic demands. What keepers noted of them is forgotten, and what is found
afterwards is found anew.`,
		Example: "  abaton watch lift dr-anna --why explained",
		RunE: func(c *cobra.Command, args []string) error {
			reason, ok := liftReasons[why]
			if !ok {
				return usage("--why is mistaken, explained or ended")
			}
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			m.managers = managers
			return e.lift(c.Context(), m, args[0], reason, asJSON)
		}}
	c.Flags().StringVar(&why, "why", "", "mistaken, explained or ended")
	c.Flags().IntVar(&managers, "managers", 0, "how many managers sign (default: as many as the clinic demands)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("why")
	return c
}

func (e *env) lift(ctx context.Context, m *employer, who string, why actor.Why, asJSON bool) error {
	held, err := m.held(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(held, func(s heldSubject) bool {
		return s.Who == who || s.Subject == who || len(who) >= 16 && strings.HasPrefix(s.Subject, who)
	})
	body := &actor.Lift{Why: why}
	if i >= 0 {
		body.Verdicts = held[i].names
	}
	own, err := m.suspensions(ctx, who)
	if err != nil {
		return err
	}
	if body.Verdicts = append(body.Verdicts, own...); len(body.Verdicts) == 0 {
		return usage("nobody called %s is held back", who)
	}
	slices.SortFunc(body.Verdicts, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	began := time.Now()
	p, err := m.net.Append(ctx, m.hand(), body)
	if err != nil {
		return fmt.Errorf("lift: %w", err)
	}
	return e.sayDone(asJSON, "held back no more", who, m.ID, p, began)
}

// suspensions are the events by which the clinic itself suspends somebody now.
func (m *employer) suspensions(ctx context.Context, who string) (all [][32]byte, err error) {
	p, err := m.named(ctx, who)
	if errors.Is(err, people.ErrNobody) {
		return nil, nil // a session, or a name that keepers alone have
	}
	if err != nil {
		return nil, err
	}
	m.net.Refresh(m.ID)
	log, err := m.net.Log(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	for _, e := range log.Liftable(p.ID, time.Now()) {
		all = append(all, e)
	}
	return all, nil
}
