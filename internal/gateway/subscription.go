package gateway

import (
	"encoding/json"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/deliver"
	"github.com/abaton-health/abaton/internal/fhir"
)

// A subscription is a REST hook on what a session may read: an R4 Subscription
// with classic criteria, or one of the R4 backport of topic-based
// subscriptions (hl7.org/fhir/uv/subscriptions-backport, 1.1.0). It lives in
// memory as long as the session that was lent the grants, and no longer; it
// tells that something is there, never what.
type subscription struct {
	id       string
	person   *person
	resource fhir.Resource // as it was posted
	base     string
	purpose  abaton.Purpose

	topic    string // canonical; empty with classic criteria
	kind     string
	params   []fhir.Param
	patients []abaton.ActorID // whose charts are watched; the organisation for its directory

	endpoint  string
	header    http.Header
	payload   string // empty or id-only
	heartbeat time.Duration
	ends      time.Time

	wake  chan struct{} // of one: there may be news
	ended chan struct{}
	once  sync.Once

	mu     sync.Mutex
	status string // requested, active, error or off
	fault  string // why it is in error; fixed text
	events uint64 // told of since the beginning
	last   time.Time
	seen   map[string]bool // versions that are no news
}

// TopicWritten is the one topic of this gateway: a resource was created or
// updated. What of it is wanted stands in the filter.
const TopicWritten = "urn:abaton:topic:written"

// Extensions of the R4 backport.
const (
	extensionFilter    = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-filter-criteria"
	extensionContent   = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"
	extensionHeartbeat = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-heartbeat-period"
	profileStatus      = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"
)

func noSubscription(text string) error {
	return refusal(http.StatusUnprocessableEntity, "business-rule", text)
}

// asksToSubscribe reports whether a resource asks to be told; any other
// Subscription is stored like any resource.
func asksToSubscribe(r fhir.Resource) bool {
	return r.Type == "Subscription" && r.Get("status").Is("requested")
}

// subscriptionOf reads what is wanted and where to. Whose charts it watches is
// settled by the caller.
func subscriptionOf(r fhir.Resource, allowed []string) (*subscription, error) {
	s := &subscription{resource: r, status: "requested", seen: make(map[string]bool), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	criteria := r.Get("criteria").Text()
	if criteria == TopicWritten {
		s.topic = criteria
		criteria = extensionOf(r.Get("_criteria"), extensionFilter).Get("valueString").Text()
	}
	kind, query, ok := strings.Cut(criteria, "?")
	if !ok || !fhir.IsType(kind) {
		return nil, noSubscription("criteria must be Type?query, or the topic " + TopicWritten + " with such a filter; the CapabilityStatement lists the parameters")
	}
	s.kind = kind
	var err error
	if s.params, err = fhir.ParseQuery(query); err != nil {
		return nil, err
	}
	if text := r.Get("end").Text(); text != "" {
		if s.ends, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, noSubscription("end must be an instant; correct it")
		}
	}
	return s, s.channel(r.Get("channel"), allowed)
}

// channel reads where to and how.
func (s *subscription) channel(c fhir.Value, allowed []string) error {
	if !c.Get("type").Is("rest-hook") {
		return noSubscription("only rest-hook channels are served; change channel.type")
	}
	s.endpoint = c.Get("endpoint").Text()
	if !allowedEndpoint(s.endpoint, allowed) {
		return noSubscription("the endpoint's origin is not one that this gateway may notify; ask the operator to list it (notify_origins)")
	}
	s.payload = "empty"
	if c.Get("payload").Kind() != fhir.Absent {
		if text := c.Get("payload").Text(); text != "application/fhir+json" && text != "application/json" {
			return noSubscription("only JSON is sent; set channel.payload to application/fhir+json")
		}
		s.payload = "id-only"
		if v := extensionOf(c.Get("_payload"), extensionContent); v.Kind() != fhir.Absent {
			s.payload = v.Get("valueCode").Text()
		}
		if s.payload != "empty" && s.payload != "id-only" {
			return noSubscription("contents of records are not sent to an endpoint; ask for id-only and read what it names")
		}
	}
	if v := extensionOf(c, extensionHeartbeat); v.Kind() != fhir.Absent {
		seconds, err := strconv.ParseUint(string(v.Get("valueUnsignedInt").Raw()), 10, 31)
		if err != nil || time.Duration(seconds)*time.Second < heartbeatMin {
			return noSubscription("a heartbeat is a whole number of seconds, at least 10; change it")
		}
		s.heartbeat = time.Duration(seconds) * time.Second
	}
	return s.headers(c.Get("header"))
}

// headers reads what the endpoint wants to see, as Authorization. None may
// change where or what is sent.
func (s *subscription) headers(list fhir.Value) error {
	s.header = make(http.Header)
	if list.Len() > headersMax {
		return noSubscription("the channel has too many headers; use fewer")
	}
	for v := range list.Each() {
		name, value, ok := strings.Cut(v.Text(), ":")
		name, value = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || !headerName(name) || strings.ContainsAny(value, "\r\n\x00") || len(value) > headerBytesMax ||
			strings.HasPrefix(name, "Content-") || slices.Contains([]string{"Host", "Connection", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Expect"}, name) {
			return noSubscription("a header of the channel cannot be sent; use Name: value, and none that HTTP itself sets")
		}
		s.header.Add(name, value)
	}
	return nil
}

// extensionOf is the extension of an element by its URL.
func extensionOf(v fhir.Value, link string) fhir.Value {
	for e := range v.Get("extension").Each() {
		if e.Get("url").Is(link) {
			return e
		}
	}
	return fhir.Value{}
}

// allowedEndpoint holds an endpoint against the operator's list of origins.
// Exactly these, so that nobody inside makes this gateway ask hosts that only
// it can reach.
func allowedEndpoint(text string, allowed []string) bool {
	origin, ok := deliver.Origin(text)
	return ok && slices.Contains(allowed, origin)
}

// over reports whether nothing is to be told any more.
func (s *subscription) over(now time.Time) bool {
	return s.person.over(now) || !now.Before(s.ends)
}

func (s *subscription) stop() { s.once.Do(func() { close(s.ended) }) }

// shown is the resource as it stands now: what was posted, with its id, status
// and end.
func (s *subscription) shown() (fhir.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	steps := []map[string]any{{"op": "replace", "path": "/status", "value": s.status}, {"op": "add", "path": "/end", "value": fhir.Instant(s.ends)}}
	if s.fault != "" {
		steps = append(steps, map[string]any{"op": "add", "path": "/error", "value": s.fault})
	}
	text, err := json.Marshal(steps)
	if err != nil {
		return fhir.Version{}, err
	}
	p, err := fhir.ParsePatch(text)
	if err != nil {
		return fhir.Version{}, err
	}
	body, err := p.Apply(s.resource.Raw())
	if err != nil {
		return fhir.Version{}, err
	}
	return fhir.Version{Type: "Subscription", ID: s.id, VersionID: s.status + "-" + strconv.FormatUint(s.events, 10), LastUpdated: s.last, Body: body}, nil
}

// headerName reports whether a text is a header's name: RFC 9110, section
// 5.6.2, in letters, digits and dashes only.
func headerName(name string) bool {
	for i := range len(name) {
		if b := name[i]; b-'0' >= 10 && (b|0x20)-'a' >= 26 && b != '-' {
			return false
		}
	}
	return name != ""
}
