package main

import (
	"cmp"
	"context"
	"fmt"
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
	Answered bool     `json:"answered"` // a live grant gives all of it already

	want view.Request
}

func newGrantRequests(e *env) *cobra.Command {
	shown := func(list []listedRequest) any {
		return struct {
			V        int             `json:"v"`
			Requests []listedRequest `json:"requests"`
		}{1, list}
	}
	return listing(e, &cobra.Command{Use: "requests", Short: "Who asks for access, and to what"},
		"FROM\tPARTS\tWHY\tUNTIL\tANSWERED\tREQUEST", (*device).requests, shown, func(r listedRequest) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%v\t%s", r.From, strings.Join(r.Parts, ","), r.Purpose, time.Unix(r.Until, 0).Format(time.DateTime), r.Answered, r.Request)
		})
}

// requests are the access requests in the patient's own record that can still
// be given. Who asks is the person that the gateway sealed with the request,
// never what its text says.
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
		resource, err := fhir.ParseResource(v.Body)
		if err != nil || !view.IsRequest(resource) {
			continue
		}
		want, err := view.RequestOf(resource)
		from := r.persons[v.VersionID]
		if err != nil || from == (abaton.ActorID{}) || from == d.ID || want.Grantee != (abaton.ActorID{}) && want.Grantee != from {
			continue
		}
		end := want.End
		if end.IsZero() {
			end = now.Add(requestLife)
		}
		if end = earlier(end, now.Add(abaton.GrantLifeMax-time.Hour)); !end.After(now) {
			continue
		}
		want.Grantee, want.End = from, end
		one := listedRequest{Request: v.ID, From: nameOf(known, from), Actor: from.String(), Purpose: string(want.Purpose), Until: end.Unix(),
			Asked: v.LastUpdated.Unix(), Answered: d.answered(st, &want, now), want: want}
		for _, c := range want.Categories {
			one.Parts = append(one.Parts, c.String())
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b listedRequest) int {
		return cmp.Or(cmp.Compare(a.Asked, b.Asked), strings.Compare(a.Request, b.Request))
	})
	return list, nil
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
	if at < 0 {
		return usage("%q is no request that can be given; abaton grant requests lists them", id)
	}
	r := list[at]
	whom, err := d.at.People().Find(r.Actor)
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
