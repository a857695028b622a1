package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/audience"
	"github.com/abaton-health/abaton/internal/fhir"
)

func newAccessWho(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "who", Short: "Who can see a patient's record now: every person, by which grant, until when", Args: cobra.NoArgs,
		Long: `Who can see a patient's record now. Teams are shown as the people who are in them at
this moment, with those who stand in for a shift, those to whom something was handed
on, and who answers for a program. It names who else holds a way in: paper, helpers,
emergency authorities, a care team; and whom the patient has barred.`,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Patient {
				return usage("%s is no patient and has no record to see", d.Handle)
			}
			w, err := d.who(c.Context(), time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(w)
			}
			return e.whoTable(w)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

// seen is one line of access who.
type seen struct {
	Who       string   `json:"who"`
	Actor     string   `json:"actor"`
	Kind      string   `json:"kind"`
	Roles     []string `json:"roles,omitempty"`
	Parts     []string `json:"parts"`
	From      int64    `json:"from"`
	Until     int64    `json:"until"`
	Team      string   `json:"team,omitempty"`
	InPlaceOf string   `json:"inPlaceOf,omitempty"`
	Through   string   `json:"through,omitempty"`   // who handed the grant on
	AnswersTo string   `json:"answersTo,omitempty"` // of a program
	Why       string   `json:"why,omitempty"`       // why not
	Grant     string   `json:"grant"`
	Onward    string   `json:"onward,omitempty"` // the hand-on
}

// wayIn is one way into the record besides the patient's own devices.
type wayIn struct {
	Kind  string   `json:"kind"`
	Who   string   `json:"who,omitempty"`
	Parts []string `json:"parts"`
	Need  int      `json:"need"`
	Name  string   `json:"name"`
}

// barred is one whom the patient bars.
type barred struct {
	Who   string `json:"who"`
	Until int64  `json:"until,omitempty"` // 0: for ever
}

// whoSees is access who --json.
type whoSees struct {
	V       int      `json:"v"`
	Patient string   `json:"patient"`
	At      int64    `json:"at"`
	Can     []seen   `json:"can"`
	Cannot  []seen   `json:"cannot"`
	Adds    []seen   `json:"adds"`
	WaysIn  []wayIn  `json:"waysIn"`
	Barred  []barred `json:"barred"`
}

// who asks the logs of all who take part, as they are now.
func (d *device) who(ctx context.Context, now time.Time) (*whoSees, error) {
	var failed error
	asked := make(map[abaton.ActorID]*actor.State)
	logs := func(id abaton.ActorID) *actor.State {
		if st, ok := asked[id]; ok {
			return st
		}
		d.net.Refresh(id)
		st, err := d.net.Log(ctx, id)
		if err != nil && !errors.Is(err, abaton.ErrNotFound) {
			failed = errors.Join(failed, err)
		}
		asked[id] = st
		return st
	}
	own := logs(d.ID)
	if failed != nil || own == nil {
		return nil, fmt.Errorf("read own key log: %w", errors.Join(failed, abaton.ErrNotFound))
	}
	a := audience.Of(own, logs, now)
	if failed != nil { // a list with somebody missing is worse than none
		return nil, fmt.Errorf("read key logs: %w", failed)
	}
	known, err := namesWithTeams(d.at)
	if err != nil {
		return nil, err
	}
	n := naming{known: known, parts: d.parts()}
	out := &whoSees{V: 1, Patient: d.ID.String(), At: now.Unix(), Can: n.all(a.Can), Cannot: n.all(a.Cannot), Adds: n.all(a.Adds),
		WaysIn: []wayIn{}, Barred: []barred{}}
	for _, h := range a.Holders {
		w := wayIn{Kind: escrowNames[h.Kind], Parts: n.partsOf(h.Lines), Need: h.Need, Name: h.Escrow.String()}
		if h.Actor != (abaton.ActorID{}) {
			w.Who = nameOf(known, h.Actor)
		}
		out.WaysIn = append(out.WaysIn, w)
	}
	for id, until := range a.Barred {
		b := barred{Who: nameOf(known, id), Until: until}
		if until == math.MaxInt64 {
			b.Until = 0
		}
		out.Barred = append(out.Barred, b)
	}
	slices.SortFunc(out.Barred, func(a, b barred) int { return strings.Compare(a.Who, b.Who) })
	return out, nil
}

// parts are the names of the parts of the own record, by line.
func (d *device) parts() map[abaton.Line]string {
	parts := make(map[abaton.Line]string)
	for _, c := range fhir.Categories() {
		parts[d.Root.Line(c.ID())] = c.String()
	}
	return parts
}

var escrowNames = map[actor.EscrowKind]string{actor.EscrowEmergency: "in an emergency", actor.EscrowCustody: "care team",
	actor.EscrowKit: "paper kit", actor.EscrowTrustees: "helper"}

var kindNames = map[actor.Kind]string{actor.Patient: "person", actor.Clinician: "clinician", actor.Organisation: "clinic",
	actor.Device: "device", actor.Agent: "program"}

// naming turns names of actors and lines into words.
type naming struct {
	known map[abaton.ActorID]string
	parts map[abaton.Line]string
}

func (n naming) partsOf(lines []abaton.Line) []string {
	if len(lines) == 0 {
		return []string{"all"}
	}
	var out []string
	for _, l := range lines {
		out = append(out, cmp.Or(n.parts[l], "other"))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (n naming) all(list []audience.Seer) []seen {
	out := []seen{}
	for _, s := range list {
		one := seen{Who: nameOf(n.known, s.Actor), Actor: s.Actor.String(), Kind: kindNames[s.Kind], Roles: s.Roles, Parts: n.partsOf(s.Lines),
			From: s.From, Until: s.Until, Grant: s.Grant.String(), Why: string(s.Why)}
		for _, also := range []struct {
			to *string
			id abaton.ActorID
		}{{&one.Team, s.Team}, {&one.InPlaceOf, s.InPlaceOf}, {&one.Through, s.Onward.From}, {&one.AnswersTo, s.AnswersTo}} {
			if also.id != (abaton.ActorID{}) {
				*also.to = nameOf(n.known, also.id)
			}
		}
		if !s.Onward.IsZero() {
			one.Onward = s.Onward.ID.String()
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b seen) int { return strings.Compare(a.Who, b.Who) })
	return out
}

// how is by what somebody sees the record, in words.
func (s *seen) how() string {
	var words []string
	for _, w := range []struct{ word, name string }{{"in", s.Team}, {"in the place of", s.InPlaceOf}, {"through", s.Through}, {"answers to", s.AnswersTo}} {
		if w.name != "" {
			words = append(words, w.word+" "+w.name)
		}
	}
	return cmp.Or(strings.Join(words, ", "), "given by you")
}

func (e *env) whoTable(w *whoSees) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHO\tAS\tHOW\tSEES\tUNTIL\tGRANT")
	for i := range w.Can {
		s := &w.Can[i]
		sees := strings.Join(s.Parts, ",")
		if len(s.Parts) == len(fhir.Categories()) {
			sees = "all"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Who, cmp.Or(strings.Join(s.Roles, ","), s.Kind), s.how(), sees,
			time.Unix(s.Until, 0).Format(time.DateTime), short(s.Grant))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range w.Cannot {
		e.say("Cannot see it: %s, %s.", w.Cannot[i].Who, w.Cannot[i].Why)
	}
	for i := range w.Adds {
		e.say("Can add to it without reading: %s.", w.Adds[i].Who)
	}
	for _, in := range w.WaysIn {
		e.say("Another way in: %s %s (%s).", in.Kind, cmp.Or(in.Who, "for whoever has it"), strings.Join(in.Parts, ","))
	}
	for _, b := range w.Barred {
		e.say("Barred: %s.", b.Who)
	}
	e.say("Nobody else. It is stored locked; no keeper and no clinic has the key alone.")
	return nil
}
