package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/relation"
)

func newRelationCommand(e *env) *cobra.Command {
	return noun("relation", "Tell keepers of what no feed tells: who treats whom, and whose record is delicate", newRelationTell(e), newRelationList(e))
}

// relationWords are the kinds that the desk tells; made-up patients have a
// command of their own.
var relationWords = []struct {
	word string
	kind relation.Kind
	life time.Duration // unless said otherwise
}{
	{"hand-over", relation.HandOver, 12 * time.Hour}, {"appointment", relation.Appointment, 24 * time.Hour},
	{"admission", relation.Admission, 30 * 24 * time.Hour}, {"referral", relation.Referral, 30 * 24 * time.Hour},
	{"order", relation.Order, 7 * 24 * time.Hour}, {"own", relation.Own, relation.DelicateLife},
	{"kin", relation.Kin, relation.DelicateLife}, {"colleague", relation.Colleague, relation.DelicateLife},
	{"raised", relation.Raised, 90 * 24 * time.Hour}, {"duty", relation.Duty, 8 * time.Hour},
}

func wordOfRelation(k relation.Kind) string {
	for _, w := range relationWords {
		if w.kind == k {
			return w.word
		}
	}
	return "honey"
}

// telling is what one call of relation tell says.
type telling struct {
	patients, to string
	life         time.Duration
	end, asJSON  bool
}

func newRelationTell(e *env) *cobra.Command {
	var t telling
	c := &cobra.Command{Use: "tell KIND", Short: "Say why somebody may open records, or whose record nobody opens lightly", Args: cobra.ExactArgs(1),
		Long: `Say why somebody may open records: a hand-over (to a colleague or a team, one
action for a whole list), an appointment, admission, referral or order that no
system tells. Or whose record nobody opens lightly: the own one of somebody of the
staff, that of a relative or a colleague, one that is raised (in the news). Or
that somebody is on duty from now (--to, no patients): who is on rosters and off
duty is asked for the passkey at a patient without a reason.

It gives no access and takes none: it is how an access looks to the watch. Every
keeper is told; say it again when one was away.`,
		Example: "  abaton relation tell hand-over --patients patient-8a4c9c04,patient-7b3f --to dr-ben\n  abaton relation tell own --patients patient-8a4c9c04 --to dr-ben\n  abaton relation tell raised --patients patient-8a4c9c04",
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			entries, err := m.relations(c.Context(), args[0], t, time.Now())
			if err != nil {
				return err
			}
			return e.tell(c.Context(), m, entries, t.asJSON)
		}}
	c.Flags().StringVar(&t.patients, "patients", "", "whose records, with commas")
	c.Flags().StringVar(&t.to, "to", "", "the person or team it is about; nobody for raised, and for colleague the whole clinic")
	c.Flags().DurationVar(&t.life, "for", 0, "for how long from now (default by kind)")
	c.Flags().BoolVar(&t.end, "end", false, "take back what stands of this kind")
	c.Flags().BoolVar(&t.asJSON, "json", false, "print JSON")
	return c
}

func (m *employer) relations(ctx context.Context, word string, t telling, now time.Time) (entries []relation.Entry, err error) {
	i := slices.IndexFunc(relationWords, func(w struct {
		word string
		kind relation.Kind
		life time.Duration
	}) bool {
		return w.word == word
	})
	if i < 0 {
		return nil, usage("%q is no relation; there are: hand-over, appointment, admission, referral, order, own, kin, colleague, raised, duty", word)
	}
	kind, life := relationWords[i].kind, relationWords[i].life
	if t.life != 0 {
		life = t.life
	}
	if life <= 0 || life > kind.Life() {
		return nil, usage("--for is too long or none: %s runs %v at most", word, kind.Life())
	}
	var whom abaton.ActorID
	if t.to != "" {
		person, team, err := m.grantee(ctx, t.to)
		switch {
		case err != nil:
			return nil, err
		case team != nil:
			whom = team.ID
		default:
			whom = person.ID
		}
	}
	if (whom == abaton.ActorID{}) != (kind == relation.Raised) && (kind != relation.Colleague) {
		return nil, usage("--to: %s is about somebody, and raised about nobody", word)
	}
	switch {
	case (kind == relation.Duty) != (t.patients == ""):
		return nil, usage("--patients: whose records; a duty is about nobody's")
	case kind == relation.Duty:
		entries = append(entries, relation.Entry{Patient: whom, Kind: kind, From: now.Unix(), Until: now.Add(life).Unix()})
		if t.end {
			return m.ended(entries, now)
		}
		return entries, nil
	}
	for handle := range strings.SplitSeq(t.patients, ",") {
		p, err := m.named(ctx, strings.TrimSpace(handle))
		if err != nil {
			return nil, err
		}
		entries = append(entries, relation.Entry{Patient: p.ID, Whom: whom, Kind: kind, From: now.Unix(), Until: now.Add(life).Unix()})
	}
	if !t.end {
		return entries, nil
	}
	return m.ended(entries, now)
}

// ended are those of the same kind and about the same that stand, taken back.
func (m *employer) ended(like []relation.Entry, now time.Time) (entries []relation.Entry, err error) {
	all, err := m.toldOf()
	if err != nil {
		return nil, err
	}
	for _, l := range like {
		for _, old := range standing(all, now) {
			if old.Patient == l.Patient && old.Whom == l.Whom && old.Kind == l.Kind {
				old.Until, old.Word = old.From, nil
				entries = append(entries, old)
			}
		}
	}
	if len(entries) == 0 {
		return nil, usage("nothing of the kind stands; abaton relation list shows what does")
	}
	return entries, nil
}

// toldAt is how many keepers keep how many of the entries.
type toldAt struct {
	V       int `json:"v"`
	Entries int `json:"entries"`
	At      int `json:"at"` // keepers that keep all of them
	Of      int `json:"of"`
}

// tell tells every keeper, and writes it down when as many keep it as keep a
// record.
func (e *env) tell(ctx context.Context, m *employer, entries []relation.Entry, asJSON bool) error {
	out := toldAt{V: 1, Entries: len(entries), Of: int(m.at.Set().N)}
	atAll := make(map[abaton.KeeperIndex]bool)
	var refused abaton.Reason
	var failed error
	for part := range slices.Chunk(entries, relation.HoneyMax) {
		message, err := relation.Sign(m.Manage, m.ID, time.Now(), part)
		if err != nil {
			return err
		}
		for i := range m.at.Set().Keepers {
			x := m.at.Set().Keepers[i].X
			reasons, err := m.net.TellRelations(ctx, x, message, len(part))
			for _, r := range reasons {
				if r != "" {
					refused = r
				}
			}
			if err != nil {
				failed = err
			}
			whole := err == nil && !slices.ContainsFunc(reasons, func(r abaton.Reason) bool { return r != "" })
			if _, before := atAll[x]; !before || !whole {
				atAll[x] = whole
			}
		}
	}
	for _, whole := range atAll {
		if whole {
			out.At++
		}
	}
	if out.At < int(m.at.Set().W) {
		if refused != "" {
			return fmt.Errorf("%d of %d keepers keep all of it: %w", out.At, out.Of, abaton.Refuse(refused))
		}
		return fmt.Errorf("%d of %d keepers keep all of it: %w", out.At, out.Of, failed)
	}
	if err := m.writeTold(entries); err != nil {
		return err
	}
	e.say("%d relations told, kept by %d of %d keepers.", out.Entries, out.At, out.Of)
	if asJSON {
		return e.json(out)
	}
	return nil
}

// listedRelation is one line of relation list.
type listedRelation struct {
	Kind    string `json:"kind"`
	Patient string `json:"patient"`
	To      string `json:"to,omitempty"`
	From    string `json:"from"`
	Until   string `json:"until"`
}

func newRelationList(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "What was told from here and stands; made-up patients too", Args: cobra.NoArgs,
		Long: `What was told from this desk and stands, made-up patients too: whoever reads this
list knows them. What the gateway tells of visits and orders is not here.`,
		RunE: func(*cobra.Command, []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			known, err := namesWithTeams(m.at)
			if err != nil {
				return err
			}
			all, err := m.toldOf()
			if err != nil {
				return err
			}
			list := []listedRelation{}
			for _, r := range standing(all, time.Now()) {
				l := listedRelation{Kind: wordOfRelation(r.Kind), Patient: nameOf(known, r.Patient),
					From: time.Unix(r.From, 0).Format(time.DateTime), Until: time.Unix(r.Until, 0).Format(time.DateTime)}
				if r.Whom != (abaton.ActorID{}) {
					l.To = nameOf(known, r.Whom)
				}
				list = append(list, l)
			}
			if asJSON {
				return e.json(struct {
					V         int              `json:"v"`
					Relations []listedRelation `json:"relations"`
				}{1, list})
			}
			t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "KIND\tPATIENT\tTO\tUNTIL")
			for _, l := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Kind, l.Patient, l.To, l.Until)
			}
			return t.Flush()
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
