package gateway

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
	"github.com/abaton-health/abaton/internal/smart"
)

// subscriptions are the live ones by id.
type subscriptions struct {
	mu sync.Mutex
	by map[string]*subscription
}

// subscriptionPrefix begins the ids of live subscriptions and no other's.
const subscriptionPrefix = "sub1"

// live reports whether an id is that of a live subscription.
func live(kind, id string) bool {
	return kind == "Subscription" && strings.HasPrefix(id, subscriptionPrefix)
}

// find is a subscription of this session; another's is not there.
func (s *subscriptions) find(p *person, id string) (*subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.by[id]; one != nil && one.person == p {
		return one, nil
	}
	return nil, absent()
}

// of are those of one session, by id.
func (s *subscriptions) of(p *person) (own []*subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.by {
		if one.person == p {
			own = append(own, one)
		}
	}
	slices.SortFunc(own, func(a, b *subscription) int { return strings.Compare(a.id, b.id) })
	return own
}

// wakeFor has those look that watch a patient's chart.
func (s *subscriptions) wakeFor(patient abaton.ActorID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.by {
		if slices.Contains(one.patients, patient) {
			select {
			case one.wake <- struct{}{}:
			default: // it is about to look anyway
			}
		}
	}
}

// sweep ends those whose time or session is over.
func (s *subscriptions) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.by {
		if one.over(now) {
			one.stop()
			delete(s.by, id)
		}
	}
}

// subscribe answers POST Subscription with status requested.
func (g *Gateway) subscribe(ctx context.Context, c *call, r fhir.Resource) (*answer, error) {
	s, err := subscriptionOf(r, g.notifyOrigins)
	if err != nil {
		return nil, err
	}
	if err := c.person.mayDo(smart.Search, s.kind); err != nil { // it is a search that goes on
		return nil, err
	}
	s.person, s.base, s.purpose, s.last = c.person, c.base, c.purpose, g.now()
	if s.ends.IsZero() || s.ends.After(c.person.expires) {
		s.ends = c.person.expires
	}
	if s.over(g.now()) {
		return nil, noSubscription("end lies in the past; change it or leave it out")
	}
	if err := g.watchable(ctx, c, s); err != nil {
		return nil, err
	}
	if err := g.admitSubscription(s); err != nil {
		return nil, err
	}
	g.working.Go(func() { g.watch(s) })
	v, err := s.shown()
	if err != nil {
		return nil, err
	}
	body, err := render(v)
	return &answer{status: http.StatusCreated, location: c.base + "/Subscription/" + s.id, body: body}, err
}

// watchable settles whose charts are watched, opens them, and tries the
// criteria: what cannot be searched for cannot be waited for.
func (g *Gateway) watchable(ctx context.Context, c *call, s *subscription) error {
	value, named := param(s.params, "patient", "patient:Patient")
	switch {
	case named:
		for id := range strings.SplitSeq(value, ",") {
			patient, err := g.patientByID(ctx, c.person, id[strings.LastIndexByte(id, '/')+1:])
			if err != nil {
				return err
			}
			s.patients = append(s.patients, patient)
		}
	case fhir.Directory(s.kind):
		s.patients = []abaton.ActorID{g.org}
	}
	if len(s.patients) == 0 || len(s.patients) > watchedMax {
		return noSubscription("a subscription watches one to eight patients; name them in the criteria with patient=")
	}
	for _, patient := range s.patients {
		chart, err := g.chartOf(ctx, c.person, patient, c.purpose, false)
		if err != nil {
			return err
		}
		q, err := search.Parse(s.kind, s.params, search.Options{Now: g.now(), Base: c.base})
		if err != nil {
			return err
		}
		if len(q.Ignored) > 0 {
			return noSubscription("the criteria use a search parameter that is not supported here; the CapabilityStatement lists those that are")
		}
		for _, v := range chart.timeline(s.kind, time.Time{}) {
			s.seen[v.VersionID] = true
		}
	}
	return nil
}

func (g *Gateway) admitSubscription(s *subscription) error {
	if len(g.subscriptions.of(s.person)) >= subscriptionsMax {
		return refusal(http.StatusTooManyRequests, "throttled", "this session has too many subscriptions; delete one first")
	}
	var name [16]byte
	rand.Read(name[:])
	s.id = subscriptionPrefix + idEncoding.EncodeToString(name[:])
	g.subscriptions.mu.Lock()
	defer g.subscriptions.mu.Unlock()
	if len(g.subscriptions.by) >= subscriptionsAllMax {
		return refusal(http.StatusServiceUnavailable, "throttled", "too many subscriptions are live here; try again later")
	}
	g.subscriptions.by[s.id] = s
	return nil
}

// unsubscribe answers DELETE Subscription/[id] of a live one.
func (g *Gateway) unsubscribe(c *call) (*answer, error) {
	s, err := g.subscriptions.find(c.person, c.id)
	if err != nil {
		return nil, err
	}
	s.stop()
	g.subscriptions.mu.Lock()
	delete(g.subscriptions.by, s.id)
	g.subscriptions.mu.Unlock()
	return &answer{status: http.StatusNoContent}, nil
}

// subscriptionStatus answers GET Subscription/[id]/$status.
func (g *Gateway) subscriptionStatus(_ context.Context, c *call) (*answer, error) {
	s, err := g.subscriptions.find(c.person, c.id)
	if err != nil {
		return nil, err
	}
	id := newUUID()
	out := fhir.OutBundle{Kind: "searchset", Total: 1, Self: c.base + "/Subscription/" + s.id + "/$status",
		Entries: []fhir.OutEntry{{FullURL: "urn:uuid:" + id, Resource: s.report(id, "query-status", nil), Search: "match"}}}
	return &answer{status: http.StatusOK, body: out.Bytes()}, nil
}

// lives are the live subscriptions of a session as resources.
func (g *Gateway) lives(p *person) (out []fhir.Version, err error) {
	for _, s := range g.subscriptions.of(p) {
		v, err := s.shown()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
