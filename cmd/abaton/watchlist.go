package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
)

// What a subject of the watch is now.
const (
	stateHeld   = "held"
	stateLifted = "lifted"
	stateEnded  = "ended"
)

// steeredSubject is one subject with all verdicts of the last week.
type steeredSubject struct {
	Kind     string           `json:"kind"`
	Subject  string           `json:"subject"`
	Who      string           `json:"who,omitempty"`   // a handle, where one is known here; of a session whose it is
	Actor    string           `json:"actor,omitempty"` // of a session whose it is, where a keeper says so
	State    string           `json:"state"`           // held, lifted, ended
	Since    uint64           `json:"since"`           // unix seconds
	Until    uint64           `json:"until"`
	Why      []string         `json:"why"`     // in plain words
	Keepers  []heldKeeper     `json:"keepers"` // how far each holds it now
	Verdicts []steeredVerdict `json:"verdicts"`

	kind  contain.Kind
	id    [32]byte
	who   abaton.ActorID
	rules detect.Rules // of what stands, or stood last
}

// steeredVerdict is one keeper's word.
type steeredVerdict struct {
	Verdict string        `json:"verdict"` // its name
	Keeper  int           `json:"keeper"`
	Level   string        `json:"level"`
	Rules   string        `json:"rules"` // D0 to D12
	Why     []string      `json:"why"`
	Numbers []string      `json:"numbers"` // that its keeper went by, in words
	Figures []figure      `json:"figures"` // the same
	Proof   bool          `json:"proof"`
	Since   uint64        `json:"since"`
	Until   uint64        `json:"until"`
	State   string        `json:"state"`   // held, lifted, ended
	Entries []ledgerEntry `json:"entries"` // where it stands in ledgers

	rules detect.Rules
}

// figure is keeper.Figure as JSON.
type figure struct {
	Rule  string `json:"rule"`
	Count uint32 `json:"count"`
	Limit uint32 `json:"limit"`
	Span  uint32 `json:"seconds,omitempty"`
}

// ledgerEntry is a place in a keeper's ledger.
type ledgerEntry struct {
	Keeper int    `json:"keeper"`
	Entry  uint64 `json:"entry"`
}

// lifts is what abaton watch lift takes for this subject.
func (s *steeredSubject) lifts() string {
	if s.Who != "" && s.kind != contain.KindSession {
		return s.Who
	}
	return s.Subject[:16]
}

// gatherSteered puts the keepers' answers together, by subject: those held now
// first, then by when they began.
func gatherSteered(answers []client.Steered, known map[abaton.ActorID]string) []*steeredSubject {
	var all []*steeredSubject
	find := func(kind uint8, id [32]byte) *steeredSubject {
		for _, s := range all {
			if s.kind == contain.Kind(kind) && s.id == id {
				return s
			}
		}
		s := &steeredSubject{Kind: contain.Kind(kind).String(), Subject: hex.EncodeToString(id[:]), State: stateEnded, kind: contain.Kind(kind), id: id,
			Why: []string{}, Keepers: []heldKeeper{}, Verdicts: []steeredVerdict{}}
		if s.kind != contain.KindSession {
			s.Who = known[id]
		}
		all = append(all, s)
		return s
	}
	for i := range answers {
		a := &answers[i]
		for _, h := range a.Held {
			s := find(h.Kind, h.Subject)
			s.State = stateHeld
			s.Keepers = append(s.Keepers, heldOf(a.Keeper, &h))
		}
		for j := range a.Words {
			w := &a.Words[j]
			s := find(w.Kind, w.Subject)
			s.take(a.Keeper, w)
			if s.kind == contain.KindSession && w.Keeper == a.Keeper && w.Who != (abaton.ActorID{}) {
				s.who, s.Actor, s.Who = w.Who, w.Who.String(), nameOf(known, w.Who)
			}
		}
	}
	for _, s := range all {
		s.settle()
	}
	slices.SortStableFunc(all, func(a, b *steeredSubject) int {
		if held := a.State == stateHeld; held != (b.State == stateHeld) {
			if held {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Since, a.Since)
	})
	return all
}

func heldOf(x abaton.KeeperIndex, h *keeper.Held) heldKeeper {
	one := heldKeeper{Keeper: int(x), Level: detect.Level(h.Level).String(), Proof: h.Proof, Since: h.Since, Until: h.Until, level: detect.Level(h.Level)}
	for _, by := range h.By {
		one.By = append(one.By, int(by))
	}
	return one
}

// take adds one keeper's telling of a verdict.
func (s *steeredSubject) take(from abaton.KeeperIndex, w *keeper.Word) {
	name := hex.EncodeToString(w.Name[:])
	i := slices.IndexFunc(s.Verdicts, func(v steeredVerdict) bool { return v.Verdict == name })
	if i < 0 {
		i = len(s.Verdicts)
		rules := detect.Rules(w.Rules)
		s.Verdicts = append(s.Verdicts, steeredVerdict{Verdict: name, Keeper: int(w.Keeper), Level: detect.Level(w.Level).String(), Rules: rules.String(),
			Why: whyHeld(rules), Numbers: []string{}, Figures: []figure{}, Since: w.Time, Until: w.Until, State: stateEnded, rules: rules})
	}
	v := &s.Verdicts[i]
	v.Proof = v.Proof || w.Proof
	v.Entries = append(v.Entries, ledgerEntry{int(from), w.Entry})
	switch {
	case w.State == keeper.WordLifted:
		v.State = stateLifted
	case w.State == keeper.WordStands && v.State != stateLifted:
		v.State = stateHeld
	}
	if from != w.Keeper {
		return // of another's word a keeper knows no number
	}
	for _, f := range w.Figures {
		v.Numbers = append(v.Numbers, numberOf(f))
		v.Figures = append(v.Figures, figure{detect.Rule(f.Rule).String(), f.Count, f.Limit, f.Span})
	}
}

// settle says of the whole what its verdicts say: of those that stand, or else
// of all.
func (s *steeredSubject) settle() {
	slices.SortFunc(s.Keepers, func(a, b heldKeeper) int { return cmp.Compare(a.Keeper, b.Keeper) })
	slices.SortFunc(s.Verdicts, func(a, b steeredVerdict) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.Keeper, b.Keeper), cmp.Compare(a.Verdict, b.Verdict))
	})
	lifted := false
	for i := range s.Verdicts {
		v := &s.Verdicts[i]
		slices.SortFunc(v.Entries, func(a, b ledgerEntry) int { return cmp.Compare(a.Keeper, b.Keeper) })
		lifted = lifted || v.State == stateLifted
		if s.State == stateHeld && v.State != stateHeld {
			continue
		}
		if s.Since == 0 || v.Since < s.Since {
			s.Since = v.Since
		}
		s.Until = max(s.Until, v.Until)
		s.rules |= v.rules
	}
	if s.State != stateHeld && lifted {
		s.State = stateLifted
	}
	s.Why = whyHeld(s.rules)
}

// ownStop is somebody whom the clinic itself has suspended for a time.
type ownStop struct {
	Who   string `json:"who"`
	Actor string `json:"actor"`
	Until int64  `json:"until"`         // unix seconds
	Why   string `json:"why,omitempty"` // as it was noted here
}

// watchPicture is abaton watch list --json.
type watchPicture struct {
	V        int               `json:"v"`
	Answered []int             `json:"answered"` // keepers
	Subjects []*steeredSubject `json:"subjects"`
	Stopped  []ownStop         `json:"stopped"`
}

// picture asks all keepers; of who, unless that is zero, also what counts now.
func (m *employer) picture(ctx context.Context, who abaton.ActorID) (*watchPicture, []client.Steered, error) {
	answers, err := m.net.Steer(ctx, m.ID, who)
	if err != nil {
		return nil, nil, err
	}
	known, err := names(m.at)
	if err != nil {
		return nil, nil, err
	}
	m.net.Refresh(m.ID)
	log, err := m.net.Log(ctx, m.ID)
	if err != nil {
		return nil, nil, err
	}
	p := &watchPicture{V: 1, Subjects: gatherSteered(answers, known), Stopped: []ownStop{}}
	for _, a := range answers {
		p.Answered = append(p.Answered, int(a.Keeper))
	}
	slices.Sort(p.Answered)
	noted, err := readStops(m.at)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	for id, until := range log.Bars(now) {
		events := log.Liftable(id, now)
		if len(events) == 0 {
			continue // who has left, and lost devices: abaton staff list
		}
		one := ownStop{Who: nameOf(known, id), Actor: id.String(), Until: until}
		for _, e := range events {
			if why := noted[hex.EncodeToString(e[:])]; why != "" {
				one.Why = why
			}
		}
		p.Stopped = append(p.Stopped, one)
	}
	slices.SortFunc(p.Stopped, func(a, b ownStop) int { return strings.Compare(a.Actor, b.Actor) })
	return p, answers, nil
}

func newWatchList(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "Who is held back and who was within a week, why, by which numbers, where it is ledgered", Args: cobra.NoArgs,
		Long: `Who of the clinic is held back, and who was within the last seven days: why in plain
words, the numbers that each keeper went by, since and until when, and where each
verdict stands in the keepers' ledgers. Each keeper writes into its ledger that you
asked.`,
		Example: "  abaton watch list",
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			p, _, err := m.picture(c.Context(), abaton.ActorID{})
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(p)
			}
			e.printPicture(p)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (e *env) printPicture(p *watchPicture) {
	if len(p.Subjects)+len(p.Stopped) == 0 {
		e.say("Nobody is held back, and nobody was in the last seven days.")
	}
	for _, s := range p.Subjects {
		e.printSubject(s)
	}
	for _, s := range p.Stopped {
		e.print("%s: suspended by the clinic until %s%s\n", s.Who, clockTime(uint64(s.Until)), withReason(s.Why))
	}
	if len(p.Answered) < 5 {
		e.say("Only keepers %s answered.", strings.Trim(fmt.Sprint(p.Answered), "[]"))
	}
}

func withReason(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func (e *env) printSubject(s *steeredSubject) {
	name := s.Kind + " " + s.lifts()
	if s.kind == contain.KindSession && s.Who != "" {
		name += " of " + s.Who
	}
	e.print("%s %s: %s, since %s, until %s\n", s.State, name, strings.Join(s.Why, "; "), clockTime(s.Since), clockTime(s.Until))
	for _, k := range s.Keepers {
		e.print("  keeper %d goes by: %s\n", k.Keeper, k.Level)
	}
	for i := range s.Verdicts {
		v := &s.Verdicts[i]
		e.print("  verdict %s of keeper %d: %s, %s\n", v.Verdict[:16], v.Keeper, v.Level, v.State)
		for _, n := range v.Numbers {
			e.print("    %s\n", n)
		}
		if v.Proof {
			e.print("    with what was signed as proof\n")
		}
		var at []string
		for _, x := range v.Entries {
			at = append(at, fmt.Sprintf("keeper %d: %d", x.Keeper, x.Entry))
		}
		e.print("    ledger entries: %s\n", strings.Join(at, ", "))
	}
}
