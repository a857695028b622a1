package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/local"
)

// explanation is abaton watch explain --json.
type explanation struct {
	V        int               `json:"v"`
	Who      string            `json:"who"`
	Actor    string            `json:"actor,omitempty"`
	Level    string            `json:"level"` // that a read meets: three of five keepers answer it
	Subjects []*steeredSubject `json:"subjects"`
	Stopped  []ownStop         `json:"stopped"` // by the clinic itself
	Can      []string          `json:"can"`     // what this one can do now
	Ends     []string          `json:"ends"`    // what ends it
	Counted  []countedAt       `json:"counted"` // what counts now
}

// countedAt is what one keeper remembers.
type countedAt struct {
	Keeper  int      `json:"keeper"`
	InCare  uint64   `json:"inCare"` // patients with a known reason, in 24 h
	Numbers []string `json:"numbers"`
	Figures []figure `json:"figures"`
}

func newWatchExplain(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "explain VERDICT|WHO", Short: "Why somebody is held back, what is still possible, what ends it", Args: cobra.ExactArgs(1),
		Long: `Why somebody, a session or a device is held back: each rule that spoke in plain
words, the number it went by and where it speaks, what the person can do now, and
what ends it. WHO is a handle, act1..., or the beginning of a name that "watch list"
prints. Each keeper writes into its ledger that you asked, and about whom.`,
		Example: "  abaton watch explain dr-anna",
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			x, err := m.explain(c.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(x)
			}
			e.printExplanation(x)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// explain finds whom a name means and says everything about that one.
func (m *employer) explain(ctx context.Context, name string) (*explanation, error) {
	who, notKnown := m.named(ctx, name)
	var id abaton.ActorID
	if notKnown == nil {
		id = who.ID
	}
	p, answers, err := m.picture(ctx, id)
	if err != nil {
		return nil, err
	}
	if notKnown != nil {
		s := subjectOf(p.Subjects, name)
		if s == nil {
			return nil, usage("%s is nobody here, and no verdict of the last seven days", name)
		}
		if id = s.owner(); id == (abaton.ActorID{}) {
			return m.explained(ctx, s.lifts(), id, &watchPicture{Subjects: []*steeredSubject{s}}, nil)
		}
		if p, answers, err = m.picture(ctx, id); err != nil { // what counts of whoever it is about
			return nil, err
		}
	}
	known, err := names(m.at)
	if err != nil {
		return nil, err
	}
	return m.explained(ctx, nameOf(known, id), id, p, answers)
}

// subjectOf finds a subject by the beginning of its name or of a verdict's.
func subjectOf(all []*steeredSubject, prefix string) *steeredSubject {
	if len(prefix) < 8 {
		return nil
	}
	for _, s := range all {
		if strings.HasPrefix(s.Subject, prefix) || slices.ContainsFunc(s.Verdicts, func(v steeredVerdict) bool { return strings.HasPrefix(v.Verdict, prefix) }) {
			return s
		}
	}
	return nil
}

// owner is whom a subject is about, zero where nobody says so.
func (s *steeredSubject) owner() abaton.ActorID {
	if s.kind == contain.KindSession {
		return s.who
	}
	return s.id
}

func (m *employer) explained(ctx context.Context, name string, id abaton.ActorID, p *watchPicture, answers []client.Steered) (*explanation, error) {
	log, err := m.net.Log(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	x := &explanation{V: 1, Who: name, Subjects: []*steeredSubject{}, Stopped: []ownStop{}, Ends: []string{}, Counted: []countedAt{}}
	if id != (abaton.ActorID{}) {
		x.Actor = id.String()
	}
	highest, kind, rules := detect.Level(0), contain.KindPerson, detect.Rules(0)
	for _, s := range p.Subjects {
		if id != (abaton.ActorID{}) && s.owner() != id {
			continue
		}
		x.Subjects = append(x.Subjects, s)
		if s.State != stateHeld {
			continue
		}
		x.Ends = append(x.Ends, endings(s, log.Approvals())...)
		if level := met(s.Keepers); level >= highest {
			highest, kind, rules = level, s.kind, s.rules
		}
	}
	x.Level, x.Can = highest.String(), mayStill(highest, kind, rules)
	for _, s := range p.Stopped {
		if s.Actor == x.Actor {
			x.Stopped = append(x.Stopped, s)
			x.Level, x.Can = "suspended", []string{"nothing: the clinic itself has suspended " + s.Who}
			x.Ends = append(x.Ends, "by itself at "+clockTime(uint64(s.Until)), "abaton watch lift "+s.Who+" --why mistaken|explained|ended")
		}
	}
	for i := range answers {
		x.Counted = append(x.Counted, countedOf(&answers[i]))
	}
	slices.SortFunc(x.Counted, func(a, b countedAt) int { return cmp.Compare(a.Keeper, b.Keeper) })
	return x, nil
}

// met is the level that a read meets: three keepers must answer it, and it asks
// the mildest.
func met(held []heldKeeper) detect.Level {
	levels := make([]detect.Level, max(local.Keepers, len(held)))
	for i := range held {
		levels[i] = held[i].level
	}
	slices.Sort(levels)
	return levels[readKeepers-1]
}

func countedOf(a *client.Steered) countedAt {
	c := countedAt{Keeper: int(a.Keeper), InCare: a.InCare, Numbers: []string{}, Figures: []figure{}}
	for _, f := range a.Counted {
		c.Numbers = append(c.Numbers, numberOf(f))
		c.Figures = append(c.Figures, figure{detect.Rule(f.Rule).String(), f.Count, f.Limit, f.Span})
	}
	return c
}

func (e *env) printExplanation(x *explanation) {
	if len(x.Subjects)+len(x.Stopped) == 0 {
		e.say("%s is not held back, and was not in the last seven days.", x.Who)
	}
	for _, s := range x.Subjects {
		e.printSubject(s)
	}
	for _, s := range x.Stopped {
		e.print("%s: suspended by the clinic until %s%s\n", s.Who, clockTime(uint64(s.Until)), withReason(s.Why))
	}
	e.print("%s can now:\n", x.Who)
	for _, can := range x.Can {
		e.print("  %s\n", can)
	}
	if len(x.Ends) > 0 {
		e.print("It ends:\n")
	}
	for _, end := range x.Ends {
		e.print("  %s\n", end)
	}
	for _, c := range x.Counted {
		if len(c.Numbers) > 0 {
			e.print("Keeper %d counts now, and %d patients in care today:\n", c.Keeper, c.InCare)
		}
		for _, n := range c.Numbers {
			e.print("  %s\n", n)
		}
	}
}
