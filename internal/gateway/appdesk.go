package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/smart"
)

// appDesk is where apps ask for access and people decide. All of it is in
// memory, and every secret in it is kept as its hash: asks that wait, codes on
// their way, access that was given. Nothing here opens a record; it only says
// which lent session an access value stands for.
type appDesk struct {
	base     string
	registry func() *smart.Registry
	signer   *smart.Signer

	mu       sync.Mutex
	asks     map[string]*ask // by handle
	byCode   map[string]*ask // by approval code
	codes    map[[32]byte]*ask
	launches map[[32]byte]*launch
	access   map[[32]byte]access
	renewals map[[32]byte]renewal
	services map[string]*service // by app
	spent    map[[32]byte]time.Time
}

// authorized is what an app was given: a lent session with its limits.
type authorized struct {
	app      *smart.App
	scopes   smart.Scopes
	person   *person
	anchor   [32]byte // its name among the sessions
	patient  string   // FHIR id of the patient in context, "" without one
	who      string   // Type/id of the person in the record, "" if not known
	nonce    string   // for the id_token
	proof    string   // thumbprint of the key that must prove, "" for none
	launched bool
}

type access struct {
	of      *authorized
	expires time.Time
}

// renewal is a value that renews access once. What was used stays known, so
// that its second use ends what it gave.
type renewal struct {
	of   *authorized
	used bool
}

// service is a session that an organisation's device lent to a backend
// service, and the views on it by scope.
type service struct {
	lent  *authorized
	views map[string]*authorized
}

// newAppDesk is nil, and serves no apps, if none are configured.
func newAppDesk(c Config) (*appDesk, error) {
	if c.Apps == nil {
		return nil, nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.String() != c.URL || u.RawQuery != "" || u.User != nil || strings.HasSuffix(c.URL, "/") {
		return nil, errors.New("gateway: URL must be the address that apps use, without a slash at the end")
	}
	signer, err := smart.NewSigner()
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return &appDesk{base: c.URL, registry: c.Apps, signer: signer, asks: make(map[string]*ask), byCode: make(map[string]*ask),
		codes: make(map[[32]byte]*ask), launches: make(map[[32]byte]*launch), access: make(map[[32]byte]access),
		renewals: make(map[[32]byte]renewal), services: make(map[string]*service), spent: make(map[[32]byte]time.Time)}, nil
}

// endpoints are the addresses for /metadata; nil without apps.
func (d *appDesk) endpoints() *fhir.OAuth {
	if d == nil {
		return nil
	}
	return &fhir.OAuth{Authorize: d.base + "/authorize", Access: d.base + "/token"}
}

// desk is the gateway's, or a refusal where no apps are served.
func (g *Gateway) desk() (*appDesk, error) {
	if g.apps == nil {
		return nil, refusal(http.StatusNotFound, "not-supported", "this gateway serves no apps; its operator registers them (docs/OPERATING.md#apps)")
	}
	return g.apps, nil
}

// secret makes a value to be given away and the hash to be kept.
func secret() (text string, name [32]byte) {
	var value [accessBytes]byte
	rand.Read(value[:])
	return login.Encode(value[:]), sha256.Sum256(value[:])
}

// nameOf is the hash under which a value is kept.
func nameOf(text string) ([32]byte, bool) {
	value, err := login.Decode(text)
	if err != nil || len(value) != accessBytes {
		return [32]byte{}, false
	}
	return sha256.Sum256(value), true
}

// accessed finds live access.
func (d *appDesk) accessed(name [32]byte, now time.Time) *authorized {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.access[name]
	if !ok || !now.Before(a.expires) || !a.of.person.live(now) {
		return nil
	}
	return a.of
}

// live reports whether a session still holds, and the one it was taken from.
func (p *person) live(now time.Time) bool {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	return !closed && now.Before(p.expires) && (p.lender == nil || p.lender.live(now))
}

// once notes a use; false if there was one, or if no more can be remembered.
func (d *appDesk) once(u smart.Used, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u.Name == ([32]byte{}) {
		return false
	}
	if _, was := d.spent[u.Name]; was {
		return false
	}
	if len(d.spent) >= usesMax {
		for name, until := range d.spent {
			if now.After(until) {
				delete(d.spent, name)
			}
		}
	}
	if len(d.spent) >= usesMax {
		return false
	}
	d.spent[u.Name] = u.Until
	return true
}

// give makes an access value, and one that renews it if the scopes say so.
// Access that is not renewed lives as long as the lent session.
func (d *appDesk) give(a *authorized, now time.Time) (value, again string, expires time.Time) {
	value, name := secret()
	expires = a.person.expires
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.scopes.Renews() {
		var next [32]byte
		again, next = secret()
		d.renewals[next] = renewal{of: a}
		if short := now.Add(appAccessMax); short.Before(expires) {
			expires = short
		}
	}
	d.access[name] = access{of: a, expires: expires}
	return value, again, expires
}

// endApp takes everything back that stands for one authorization, and ends its
// session.
func (g *Gateway) endApp(a *authorized) {
	g.apps.forget(func(o *authorized) bool { return o == a })
	g.sessions.end(a.anchor)
}

// forget drops the values of what has ended.
func (d *appDesk) forget(ended func(*authorized) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, a := range d.access {
		if ended(a.of) {
			delete(d.access, name)
		}
	}
	for name, r := range d.renewals {
		if ended(r.of) {
			delete(d.renewals, name)
		}
	}
	for name, c := range d.codes {
		if c.given != nil && ended(c.given) {
			delete(d.codes, name)
		}
	}
}

// sweepApps drops what has expired; all of it if all.
func (g *Gateway) sweepApps(all bool) {
	d := g.apps
	if d == nil {
		return
	}
	now := g.now()
	d.forget(func(a *authorized) bool { return all || !a.person.live(now) })
	for _, a := range d.expired(now, all) {
		g.endApp(a)
	}
}

// expired drops what was left lying, and gives the sessions that were lent for
// it: approved, but never fetched.
func (d *appDesk) expired(now time.Time, all bool) (left []*authorized) {
	d.mu.Lock()
	defer d.mu.Unlock()
	over := func(t time.Time) bool { return all || !now.Before(t) }
	for handle, a := range d.asks {
		if !over(a.expires) {
			continue
		}
		delete(d.asks, handle)
		delete(d.byCode, a.code)
		if a.given != nil && a.state != askRedeemed {
			left = append(left, a.given)
		}
	}
	for name, a := range d.access {
		if over(a.expires) {
			delete(d.access, name)
		}
	}
	for name, l := range d.launches {
		if over(l.expires) {
			delete(d.launches, name)
		}
	}
	for name, until := range d.spent {
		if over(until) {
			delete(d.spent, name)
		}
	}
	for app, s := range d.services {
		if all || !s.lent.person.live(now) {
			delete(d.services, app)
		}
	}
	return left
}

// hold keeps a session for an app: among the sessions, where it is counted,
// swept and told of news, under a name that no value leads to.
func (g *Gateway) hold(a *authorized) error {
	value, err := g.sessions.admit(a.person)
	if err != nil {
		return err
	}
	name, _ := nameOf(value)
	a.anchor = name
	return nil
}

// subject names a person to an app: the same at every sign-in, another one for
// every app (OpenID Connect Core, section 8.1).
func (g *Gateway) subject(app string, who abaton.ActorID) string {
	return login.Encode(g.ids.mac([]byte("subject"), []byte(app), who[:]))
}
