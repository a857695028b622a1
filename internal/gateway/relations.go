package gateway

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
	"github.com/abaton-health/abaton/internal/gateway/feed"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/seal"
)

// openFeed begins to tell keepers who treats whom; without a file for it nothing
// is told.
func (g *Gateway) openFeed(c Config) (err error) {
	if c.Relations == "" {
		return nil
	}
	var keepers []abaton.KeeperIndex
	for i := range c.Set.Keepers {
		keepers = append(keepers, c.Set.Keepers[i].X)
	}
	g.feed, err = feed.Open(feed.Config{Organisation: c.Org, Key: c.Writer, Keepers: keepers, Network: g.network,
		Path: filepath.Join(c.Relations, "relations"), Secret: c.OutboxKey, Log: c.Log, Now: c.Now})
	return err
}

// relate tells what was written of who treats whom. What cannot be told is
// counted, and refuses nothing: keepers see an unexplained read more.
func (g *Gateway) relate(ctx context.Context, p *person, changes []*change) {
	if g.feed == nil {
		return
	}
	for _, ch := range changes {
		if (ch.home == g.org) != (ch.envelope.Type == "Schedule") || ch.envelope.Kind != seal.KindResource || !slices.Contains(feed.Types(), ch.envelope.Type) {
			continue
		}
		if err := g.relateOne(ctx, p, ch); err != nil {
			g.counters.untold.Inc()
			g.log.WarnContext(ctx, "relation not told", "error", err.Error())
		}
	}
}

func (g *Gateway) relateOne(ctx context.Context, p *person, ch *change) error {
	name := feed.NameOf(ch.home, ch.envelope.Type, ch.envelope.ID)
	if ch.envelope.Deleted {
		g.feed.Note(name, ch.home, feed.Meeting{Off: true}, nil)
		return nil
	}
	r, err := fhir.ParseResource(ch.content)
	if err != nil {
		return fmt.Errorf("read resource: %w", err)
	}
	m, ok := feed.Read(r)
	if !ok || !g.feed.Concerns(name, m) {
		return nil
	}
	var whom []abaton.ActorID
	if !m.Off {
		if whom, err = g.whom(ctx, p, ch.home, &m, g.feed.Expected(name)); err != nil {
			return err
		}
	}
	if len(whom) == 0 && !m.Off {
		g.counters.untold.Inc()
	}
	g.feed.Note(name, ch.home, m, whom)
	return nil
}

// whom are the people and teams behind a meeting's parties, as the
// directory knows them; where it knows none, the teams that the patient gave
// access to. Nobody gives themselves a reason: what a person writes tells
// nothing of that person or of a team the person is in. But whoever was expected
// by the same resource before stays so: a ward's nurse who brings its visit up to
// date takes nobody's reason.
func (g *Gateway) whom(ctx context.Context, p *person, patient abaton.ActorID, m *feed.Meeting, before []abaton.ActorID) (whom []abaton.ActorID, err error) {
	org, err := g.network.Log(ctx, g.org)
	if err != nil {
		return nil, fmt.Errorf("read the organisation's log: %w", err)
	}
	whom = g.named(ctx, p, m)
	if m.Kind == relation.Duty { // of people
		whom = slices.DeleteFunc(whom, func(id abaton.ActorID) bool { return org.Team(id) != nil })
	} else if len(whom) == 0 { // who begins here next month may be booked now
		log, err := g.network.Log(ctx, patient)
		if err != nil {
			return nil, fmt.Errorf("read the patient's log: %w", err)
		}
		for _, given := range log.Grants() {
			if org.Team(given.Grantee) != nil && g.now().Unix() < given.Expires {
				whom = append(whom, given.Grantee)
			}
		}
	}
	return slices.DeleteFunc(whom, func(id abaton.ActorID) bool {
		return !slices.Contains(before, id) && g.own(ctx, org, p, id)
	}), nil
}

// own reports whether a relation would be about who writes it, or about whose
// place they take for a shift: a program writes for others.
func (g *Gateway) own(ctx context.Context, org *actor.State, p *person, whom abaton.ActorID) bool {
	if m := org.Member(p.actor, g.now()); m != nil && m.Program() {
		return false
	}
	return whom == p.actor || org.Seated(whom, p.actor, g.now()) || g.standsIn(ctx, org, p, whom)
}

// standsIn reports whether that person, or somebody of that team, has handed the
// own place to who writes. Where it cannot be found out it is so.
func (g *Gateway) standsIn(ctx context.Context, org *actor.State, p *person, whom abaton.ActorID) bool {
	givers := []abaton.ActorID{whom}
	if team := org.Team(whom); team != nil {
		givers = givers[:0]
		for _, seat := range team.Seats {
			givers = append(givers, seat.Actor)
		}
	}
	logs, err := g.network.Logs(ctx, givers...)
	if err != nil {
		return true
	}
	for _, log := range logs {
		if slices.ContainsFunc(log.Duties(g.now()), func(d *actor.Duty) bool { return d.To == p.actor }) {
			return true
		}
	}
	return false
}

// named are the actors that the directory names for a meeting's parties, as far
// as this session reads it.
func (g *Gateway) named(ctx context.Context, p *person, m *feed.Meeting) (all []abaton.ActorID) {
	directory, err := g.directory(ctx, p, false)
	if err != nil {
		directory = nil
	}
	for _, party := range m.With {
		all = append(all, g.partyOf(directory, party)...)
	}
	return all
}

// partyOf: an identifier may be an actor itself; else a resource of the
// directory, found by its id or by that identifier, has one, or the practitioner
// of a role has.
func (g *Gateway) partyOf(directory *chart, party feed.Party) (all []abaton.ActorID) {
	if id, ok := actorOf(party.Code); ok {
		return []abaton.ActorID{id}
	}
	if directory == nil || party.Type == "" {
		return nil
	}
	var found []*fhir.Version
	if party.ID != "" {
		if v, _, ok := directory.current(party.Type, party.ID); ok && !v.Deleted {
			found = append(found, &v)
		}
	} else if q, err := search.Parse(party.Type, []fhir.Param{{Name: "identifier", Value: party.Code.System + "|" + party.Code.Value}}, search.Options{Now: g.now()}); err == nil {
		if page, err := (searchSet{directory}).run(q, nil); err == nil && page.Total == 1 { // two of one number are nobody
			found = page.Versions
		}
	}
	for _, v := range found {
		r, err := fhir.ParseResource(v.Body)
		if err != nil {
			continue
		}
		for i := range r.Get("identifier").Each() {
			if id, ok := actorOf(fhir.Code{System: i.Get("system").Text(), Value: i.Get("value").Text()}); ok {
				all = append(all, id)
			}
		}
		if ref, ok := fhir.ParseRef(r.Path("practitioner", "reference").Text()); ok && r.Type == "PractitionerRole" && ref.Type == "Practitioner" && ref.Base == "" {
			all = append(all, g.partyOf(directory, feed.Party{Type: ref.Type, ID: ref.ID})...)
		}
	}
	return all
}

func actorOf(c fhir.Code) (id abaton.ActorID, ok bool) {
	if c.System != actorSystem {
		return id, false
	}
	id, err := abaton.ParseActorID(c.Value)
	return id, err == nil && id != (abaton.ActorID{})
}

// relationCollectors are how far keepers are behind with what they are told.
func (g *Gateway) relationCollectors() (all []prometheus.Collector) {
	if g.feed == nil {
		return nil
	}
	all = append(all, g.counters.untold, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "abaton_gateway_relations",
		Help: "Resources of which keepers are told who treats whom."}, func() float64 { return float64(g.feed.Standing()) }))
	for i := range g.set.Keepers {
		x := g.set.Keepers[i].X
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "abaton_gateway_relations_lag_seconds",
			Help:        "How long the oldest change has waited for a keeper.",
			ConstLabels: prometheus.Labels{"keeper": strconv.Itoa(int(x))}}, func() float64 { return g.feed.Lag(x).Seconds() }))
	}
	return all
}
