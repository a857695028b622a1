package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/view"
	"github.com/abaton-health/abaton/internal/people"
)

// requestLife is for how long access is given where a request does not say.
const requestLife = 24 * time.Hour

// listedRequest is one line of grant requests.
type listedRequest struct {
	Request  string   `json:"request"`
	From     string   `json:"from"`
	Actor    string   `json:"actor"`
	Parts    []string `json:"parts"`
	Purpose  string   `json:"purpose"`
	Until    int64    `json:"until"` // unix seconds, as the grant would end
	Asked    int64    `json:"asked"`
	Answered bool     `json:"answered"`         // a live grant gives all of it already
	Reason   string   `json:"reason,omitempty"` // in the asker's own words
	State    string   `json:"state"`            // waiting, given, refused or expired

	want  view.Request
	names bool // the text has an element patient
}

func newGrantRequests(e *env) *cobra.Command {
	shown := func(list []listedRequest) any {
		return struct {
			V        int             `json:"v"`
			Requests []listedRequest `json:"requests"`
		}{1, list}
	}
	return listing(e, &cobra.Command{Use: "requests", Short: "Who asks for access, and to what"},
		"FROM\tPARTS\tWHY\tUNTIL\tSTATE\tREQUEST\tIN THEIR WORDS", (*device).requests, shown, func(r listedRequest) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", r.From, strings.Join(r.Parts, ","), r.Purpose, time.Unix(r.Until, 0).Format(time.DateTime),
				r.State, r.Request, cmp.Or(r.Reason, "(no reason given)"))
		})
}

// requests are the access requests in the patient's own record. Who asks is the
// person that the gateway sealed with the request, never what its text says.
func (d *device) requests(ctx context.Context, now time.Time) ([]listedRequest, error) {
	r, err := d.record(ctx)
	if err != nil {
		return nil, err
	}
	known, err := names(d.at)
	if err != nil {
		return nil, err
	}
	d.net.Refresh(d.ID)
	st, err := d.net.Log(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	list := []listedRequest{}
	for _, v := range r.current() {
		if v.Type != "Consent" {
			continue
		}
		asked, refused := d.asked(r, v)
		if asked == nil {
			continue
		}
		one, ok := d.request(*asked, r.persons[asked.VersionID], now)
		if !ok {
			continue
		}
		one.From = nameOf(known, one.want.Grantee)
		one.Answered = d.answered(st, &one.want, now)
		one.State = stateOf(&one, refused, now)
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b listedRequest) int {
		return cmp.Or(cmp.Compare(a.Asked, b.Asked), strings.Compare(a.Request, b.Request))
	})
	return list, nil
}

// The states of a request, as people read them.
const (
	stateWaiting = "waiting"
	stateGiven   = "given"
	stateRefused = "refused"
	stateExpired = "expired"
)

// requestWaits is how long a request that names no end waits for an answer.
const requestWaits = 30 * 24 * time.Hour

func stateOf(r *listedRequest, refused bool, now time.Time) string {
	asked := time.Unix(r.Asked, 0)
	switch {
	case r.Answered:
		return stateGiven
	case refused:
		return stateRefused
	case now.Unix() >= r.Until, now.After(asked.Add(requestWaits)):
		return stateExpired
	}
	return stateWaiting
}

// asked is the version of a Consent in which somebody asked, and whether the
// patient has refused it since: its newest version is the patient's own and says
// so. Nil for what is no request.
func (d *device) asked(r *ownRecord, current fhir.Version) (asked *fhir.Version, refused bool) {
	resource, err := fhir.ParseResource(current.Body)
	if err != nil {
		return nil, false
	}
	if view.IsRequest(resource) {
		return &current, false
	}
	if !resource.Get("status").Is("rejected") || r.persons[current.VersionID] != d.ID {
		return nil, false
	}
	for _, v := range r.chart.History("Consent", current.ID) {
		if resource, err := fhir.ParseResource(v.Body); err == nil && view.IsRequest(resource) {
			return &v, true
		}
	}
	return nil, false
}

// request is what a version asks for; false where nothing can be given.
func (d *device) request(v fhir.Version, from abaton.ActorID, now time.Time) (one listedRequest, ok bool) {
	resource, err := fhir.ParseResource(v.Body)
	if err != nil {
		return one, false
	}
	want, err := view.RequestOf(resource)
	if err != nil || from == (abaton.ActorID{}) || from == d.ID || want.Grantee != (abaton.ActorID{}) && want.Grantee != from {
		return one, false
	}
	end := want.End
	if end.IsZero() {
		end = now.Add(requestLife)
	}
	end = earlier(end, now.Add(abaton.GrantLifeMax-time.Hour))
	want.Grantee, want.End = from, end
	one = listedRequest{Request: v.ID, Actor: from.String(), Purpose: string(want.Purpose), Until: end.Unix(), Asked: v.LastUpdated.Unix(),
		Reason: want.Reason, want: want, names: resource.Get("patient").Kind() == fhir.Object}
	for _, c := range want.Categories {
		one.Parts = append(one.Parts, c.String())
	}
	return one, true
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// answered reports whether one live grant gives all that is asked for.
func (d *device) answered(st *actor.State, want *view.Request, now time.Time) bool {
	for _, g := range st.Grants() {
		covers := g.Grantee == want.Grantee && g.Actions&grant.Read != 0 && g.Expires > now.Unix() && slices.Contains(g.Purposes, want.Purpose)
		for _, c := range want.Categories {
			covers = covers && g.Covers(d.Line(c.ID()))
		}
		if covers {
			return true
		}
	}
	return false
}

// answerRequest gives what a request asks for.
func (e *env) answerRequest(c *cobra.Command, as, id string, quota uint32) error {
	d, err := e.device(as)
	if err != nil {
		return err
	}
	defer d.hangUp()
	now := time.Now()
	list, err := d.requests(c.Context(), now)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(r listedRequest) bool { return r.Request == id })
	if at < 0 || list[at].State == stateExpired {
		return usage("%q is no request that can be given; abaton grant requests lists them", id)
	}
	r := list[at]
	whom, err := d.named(c.Context(), r.Actor)
	if err != nil {
		return err
	}
	if err := forOnePerson(whom, r.want.Categories, r.want.Purpose); err != nil {
		return err
	}
	granted, p, err := d.Give(c.Context(), d.net, people.Terms{To: whom, Actions: grant.Read, Categories: r.want.Categories,
		Purpose: r.want.Purpose, Life: r.want.End.Sub(now), Quota: quota})
	if err != nil {
		return err
	}
	e.say("%s may now read %s, in force at %d of %d keepers.", whom.Handle, strings.Join(r.Parts, ","), p.At, p.Of)
	e.print("%s\n", granted)
	return nil
}

func newGrantRefuse(e *env) *cobra.Command {
	var as string
	c := &cobra.Command{Use: "refuse REQUEST", Short: "Refuse an access request; nobody is told why", Args: cobra.ExactArgs(1),
		Long: `Refuse an access request. It is noted in the own record and takes nothing away that
was given before. Whoever asked sees nothing of it that they could not see before;
the request can still be given later.`,
		Example: "  abaton grant refuse --as patient-8a4c9c04 REQUEST",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			list, err := d.requests(c.Context(), time.Now())
			if err != nil {
				return err
			}
			at := slices.IndexFunc(list, func(r listedRequest) bool { return r.Request == args[0] })
			if at < 0 || list[at].State != stateWaiting {
				return usage("%q is no request that waits; abaton grant requests lists them", args[0])
			}
			if err := d.reject(c.Context(), &list[at]); err != nil {
				return err
			}
			e.say("Refused. %s can see what they could see before, and no more.", list[at].From)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.MarkFlagRequired("as")
	return c
}

// reject writes the answer into the own record, by the gateway: it keeps what
// was asked, with the answer as a new version.
func (d *device) reject(ctx context.Context, asked *listedRequest) error {
	own, err := d.record(ctx)
	if err != nil {
		return err
	}
	s, _, err := signIn(ctx, d.at, d.Person)
	if err != nil {
		return err
	}
	// An answer stands in the chart, so it names the patient as charts do.
	changes := []map[string]any{{"op": "replace", "path": "/status", "value": "rejected"}}
	for _, v := range own.current() {
		switch {
		case v.Type != "Patient":
		case asked.names:
			changes = append(changes, map[string]any{"op": "add", "path": "/patient/reference", "value": "Patient/" + v.ID})
		default:
			changes = append(changes, map[string]any{"op": "add", "path": "/patient", "value": map[string]any{"reference": "Patient/" + v.ID}})
		}
	}
	patch, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	r, err := s.Request(ctx, http.MethodPatch, "/Consent/"+asked.Request, bytes.NewReader(patch))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json-patch+json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask gateway: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, responseMax))
	if err != nil {
		return fmt.Errorf("ask gateway: %w", err)
	}
	if resp.StatusCode >= 300 {
		return people.Refusal(resp.StatusCode, answer)
	}
	return nil
}
