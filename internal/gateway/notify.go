package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/abaton-health/abaton/internal/deliver"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
)

// pace is how often subscriptions look, and how they try again.
type pace struct {
	look    time.Duration // for what came by other gateways
	again   time.Duration // before the second try; doubled for each one after
	tries   int
	perTry  time.Duration
	working time.Duration // one look at the charts
}

func usualPace() pace {
	return pace{look: lease, again: time.Second, tries: 6, perTry: 10 * time.Second, working: time.Minute}
}

// watch serves one subscription until it or its session ends: a handshake,
// then what is new, and a heartbeat where nothing was told for so long.
func (g *Gateway) watch(s *subscription) {
	ctx, cancel := context.WithCancel(context.Background())
	var end sync.WaitGroup
	end.Go(func() {
		select {
		case <-ctx.Done():
		case <-s.ended:
		case <-g.halt:
		}
		cancel()
	})
	defer end.Wait()
	defer cancel()
	if !g.tell(ctx, s, "handshake", nil) {
		return
	}
	look := time.NewTicker(g.pace.look)
	defer look.Stop()
	beat := time.NewTicker(max(s.heartbeat, time.Second))
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if s.heartbeat > 0 && g.now().Sub(s.lastTold()) >= s.heartbeat && !g.tell(ctx, s, "heartbeat", nil) {
				return
			}
			continue
		case <-look.C:
		case <-s.wake:
		}
		if s.over(g.now()) {
			s.turn("off", "")
			return
		}
		news, err := g.newsFor(ctx, s)
		if notMine(err) {
			s.turn("error", "what this subscription watches may not be read any more")
			return
		}
		if err == nil && len(news) > 0 && !g.tell(ctx, s, "event-notification", news) {
			return
		}
	}
}

// newsFor are the versions that came since the last look and match, oldest
// first. Keepers are asked each time, as for any look at a chart.
func (g *Gateway) newsFor(ctx context.Context, s *subscription) (news []fhir.Version, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.pace.working)
	defer cancel()
	for _, patient := range s.patients {
		chart, err := g.chartOf(ctx, s.person, patient, s.purpose, true)
		if err != nil {
			return nil, err
		}
		fresh := slices.DeleteFunc(chart.timeline(s.kind, time.Time{}), func(v fhir.Version) bool { return s.seen[v.VersionID] })
		slices.Reverse(fresh)
		for _, v := range fresh {
			s.seen[v.VersionID] = true
			matches, err := s.matches(chart, v, g.now())
			if err != nil {
				return nil, err
			}
			if matches {
				news = append(news, v)
			}
		}
	}
	return news, nil
}

// matches reports whether a version is current and found by the criteria.
func (s *subscription) matches(c *chart, v fhir.Version, now time.Time) (bool, error) {
	if at, _, ok := c.current(v.Type, v.ID); !ok || at.VersionID != v.VersionID || v.Deleted {
		return false, nil
	}
	q, err := search.Parse(s.kind, append(slices.Clone(s.params), fhir.Param{Name: "_id", Value: v.ID}), search.Options{Now: now})
	if err != nil {
		return false, err
	}
	found, err := searchSet{c}.run(q.Narrow(), nil)
	return err == nil && found.Total > 0, err
}

// tell sends one notification, again and again with growing pauses. False: it
// was given up, and so is the subscription.
func (g *Gateway) tell(ctx context.Context, s *subscription, kind string, news []fhir.Version) bool {
	s.count(len(news), g.now())
	var body []byte
	if s.payload == "id-only" || s.topic != "" {
		body = s.bundle(kind, news, g.now())
	}
	pause := g.pace.again
	for try := range g.pace.tries {
		if try > 0 {
			wait := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				wait.Stop()
				return false
			case <-wait.C:
			}
			pause *= 2
		}
		err := g.post(ctx, s, body)
		if err == nil {
			s.turn("active", "")
			return true
		}
		if _, refused := errors.AsType[*refusedError](err); refused || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() == nil {
		s.turn("error", "the endpoint did not take a notification; mend it and subscribe again")
		g.counters.notice("given up")
	}
	return false
}

// refusedError is an endpoint's word that it will never take it.
type refusedError struct{ status int }

func (e *refusedError) Error() string { return fmt.Sprintf("notify: endpoint answered %d", e.status) }

// post is one try. Neither the endpoint nor its headers stand in an error.
func (g *Gateway) post(ctx context.Context, s *subscription, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, g.pace.perTry)
	defer cancel()
	header := s.header.Clone()
	if len(body) > 0 {
		header.Set("Content-Type", "application/fhir+json")
	}
	err := deliver.Post(ctx, g.notifier, s.endpoint, header, body)
	if err == nil {
		g.counters.notice("told")
		return nil
	}
	if f, is := errors.AsType[*deliver.Fault](err); is && (f.Status == http.StatusGone || f.Status == http.StatusNotFound || f.Status/100 == 3) {
		g.counters.notice("refused")
		return &refusedError{f.Status}
	}
	g.counters.notice("failed")
	return err
}

func (s *subscription) count(events int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events += uint64(events)
	s.last = now
}

func (s *subscription) lastTold() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *subscription) turn(status, fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.fault = status, fault
}

// bundle is a notification: the status, then what it is about, by reference
// alone.
func (s *subscription) bundle(kind string, news []fhir.Version, now time.Time) []byte {
	out := fhir.OutBundle{Kind: "history", Timestamp: now, Total: -1}
	id := newUUID()
	out.Entries = append(out.Entries, fhir.OutEntry{FullURL: "urn:uuid:" + id, Resource: s.report(id, kind, news),
		Method: http.MethodGet, URL: s.base + "/Subscription/" + s.id + "/$status", Status: "200"})
	if s.payload == "id-only" {
		for _, v := range news {
			e := fhir.OutEntry{FullURL: s.base + "/" + v.Type + "/" + v.ID, Method: http.MethodPut, URL: v.Type + "/" + v.ID, Status: "200"}
			if len(v.Parents) == 0 {
				e.Method, e.URL, e.Status = http.MethodPost, v.Type, "201"
			}
			out.Entries = append(out.Entries, e)
		}
	}
	return out.Bytes()
}

// report is SubscriptionStatus as R4 Parameters, under an id of its own.
func (s *subscription) report(id, kind string, news []fhir.Version) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	type parameter map[string]any
	list := []parameter{
		{"name": "subscription", "valueReference": map[string]string{"reference": s.base + "/Subscription/" + s.id}},
		{"name": "topic", "valueCanonical": TopicWritten},
		{"name": "status", "valueCode": s.status},
		{"name": "type", "valueCode": kind},
		{"name": "eventsSinceSubscriptionStart", "valueString": strconv.FormatUint(s.events, 10)},
	}
	if s.fault != "" {
		list = append(list, parameter{"name": "error", "valueCodeableConcept": map[string]string{"text": s.fault}})
	}
	for i, v := range news {
		event := []parameter{{"name": "eventNumber", "valueString": strconv.FormatUint(s.events-uint64(len(news)-1-i), 10)},
			{"name": "timestamp", "valueInstant": fhir.Instant(v.LastUpdated)}}
		if s.payload == "id-only" {
			event = append(event, parameter{"name": "focus", "valueReference": map[string]string{"reference": s.base + "/" + v.Type + "/" + v.ID}})
		}
		list = append(list, parameter{"name": "notificationEvent", "part": event})
	}
	body, err := json.Marshal(map[string]any{"resourceType": "Parameters", "id": id, "meta": map[string]any{"profile": []string{profileStatus}}, "parameter": list})
	if err != nil {
		panic("gateway: Parameters of strings did not encode: " + err.Error())
	}
	return body
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
