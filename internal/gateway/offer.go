package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// offered is a session that nobody has signed yet.
type offered struct {
	signing *key.Signing
	reply   *key.Box
	nonce   [grant.NonceBytes]byte
	checks  []string
	expires time.Time
}

// offers are the open ones by name. Each can be answered once.
type offers struct {
	mu     sync.Mutex
	by     map[string]*offered
	checks []string // the keepers' checkpoints
	at     time.Time
}

func (o *offers) add(name string, one *offered) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.by) >= offersMax {
		return refusal(http.StatusServiceUnavailable, "throttled", "too many sign-ins are open; try again in a minute")
	}
	o.by[name] = one
	return nil
}

// take removes an offer: whatever comes of it, it is not offered again.
func (o *offers) take(name string, now time.Time) *offered {
	o.mu.Lock()
	defer o.mu.Unlock()
	one := o.by[name]
	delete(o.by, name)
	if one == nil || !now.Before(one.expires) {
		return nil
	}
	return one
}

func (o *offers) sweep(now time.Time, all bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, one := range o.by {
		if all || !now.Before(one.expires) {
			delete(o.by, name)
		}
	}
}

// offer answers POST /login/offer: keys for a session, made for this one
// sign-in, and the keepers' checkpoints (RULINGS 1, 21).
func (g *Gateway) offer(ctx context.Context, c *call) (*answer, error) {
	if err := decodeJSON(c.body, &struct{}{}); err != nil {
		return nil, err
	}
	o, err := g.newOffer(ctx)
	if err != nil {
		return nil, err
	}
	return jsonAnswer(o)
}

// newOffer makes an offer and remembers it.
func (g *Gateway) newOffer(ctx context.Context) (*login.Offer, error) {
	g.offers.sweep(g.now(), false)
	checks, err := g.checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	one := &offered{signing: key.NewSigning(), reply: key.NewBox(), checks: checks, expires: g.now().Add(offerLife)}
	rand.Read(one.nonce[:])
	var id [16]byte
	rand.Read(id[:])
	name := login.Encode(id[:])
	if err := g.offers.add(name, one); err != nil {
		return nil, err
	}
	return &login.Offer{Offer: name, Session: one.signing.ID().String(), Reply: login.Encode(one.reply.Public().Bytes()),
		Nonce: login.Encode(one.nonce[:]), Checkpoints: checks, Set: g.set.ID().String(), Organisation: g.org.String(),
		Expires: one.expires.Unix()}, nil
}

// checkpoints are the keepers' newest, from those that answer in time.
func (g *Gateway) checkpoints(ctx context.Context) ([]string, error) {
	g.offers.mu.Lock()
	checks, at := g.offers.checks, g.offers.at
	g.offers.mu.Unlock()
	if age := g.now().Sub(at); checks != nil && age >= 0 && age < checkpointsFresh {
		return checks, nil
	}
	checks, err := g.fetchCheckpoints(ctx)
	if err == nil {
		g.offers.mu.Lock()
		g.offers.checks, g.offers.at = checks, g.now()
		g.offers.mu.Unlock()
	}
	return checks, err
}

func (g *Gateway) fetchCheckpoints(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkpointWait)
	defer cancel()
	notes, err := g.network.Checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, note := range notes {
		if len(note) > 0 && len(note) <= session.CheckpointBytesMax && len(found) < session.CheckpointsMax {
			found = append(found, string(note))
		}
	}
	return found, nil
}

// complete answers POST /login/complete: it checks what the device signed,
// opens the seeds, and gives out an access value.
func (g *Gateway) complete(ctx context.Context, c *call) (*answer, error) {
	var in login.Completion
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	p, err := g.lent(ctx, in)
	if err != nil {
		return nil, err
	}
	value, err := g.sessions.admit(p)
	if err != nil {
		p.close()
		return nil, err
	}
	g.counters.login()
	g.log.InfoContext(ctx, "session begun", "grants", p.count(), "expires", p.expires.Unix())
	return jsonAnswer(login.Access{Access: value, Expires: p.expires.Unix(), Actor: p.actor.String()})
}

// lent makes the session that a device's answer to an offer lends.
func (g *Gateway) lent(ctx context.Context, in login.Completion) (*person, error) {
	one := g.offers.take(in.Offer, g.now())
	if one == nil {
		return nil, refusal(http.StatusUnauthorized, "login", "this offer is used, expired or not of this gateway; begin again with POST /login/offer")
	}
	statement, s, err := g.verify(ctx, in.Statement, one)
	if err != nil {
		return nil, err
	}
	bundles, err := openSeeds(one.reply, s.ID(), in.Seeds)
	if err != nil {
		return nil, err
	}
	return g.begin(statement, s, one, bundles)
}

// notSigned is the one answer to a statement that does not hold.
func notSigned() error {
	return refusal(http.StatusUnauthorized, "login", "the signed statement does not hold for this offer; check the device's clock and passkey, and begin again")
}

// verify checks the statement as a keeper would: form, passkey, credential and
// standing from the key logs, lifetime; and that it signs this very offer.
func (g *Gateway) verify(ctx context.Context, text string, one *offered) ([]byte, *session.Session, error) {
	statement, err := login.Decode(text)
	if err != nil {
		return nil, nil, notSigned()
	}
	signed, err := session.ParseSigned(statement)
	if err != nil {
		return nil, nil, notSigned()
	}
	org, err := g.network.Log(ctx, g.org)
	if err != nil {
		return nil, nil, err
	}
	rp := g.set.RelyingParty
	s, err := session.Authenticate(signed, rp)
	if err != nil {
		if staff, ok := org.RelyingParty(); ok {
			s, err = session.Authenticate(signed, staff)
		}
	}
	if err != nil {
		return nil, nil, notSigned()
	}
	st := s.Statement()
	if !one.signedBy(&st) {
		return nil, nil, notSigned()
	}
	return statement, s, g.admits(ctx, s, one)
}

// signedBy reports whether the statement names this offer's keys and nonce.
func (o *offered) signedBy(st *session.Statement) bool {
	return st.Key == o.signing.ID() && bytes.Equal(st.Reply, o.reply.Public().Bytes()) && st.Nonce == o.nonce
}

// names reports whether the checkpoints are those of this offer, which were
// fetched for it. Whether they are fresh is each keeper's own judgement.
func (o *offered) names(checkpoints [][]byte, _ time.Time) bool {
	if len(checkpoints) != len(o.checks) {
		return false
	}
	for i := range checkpoints {
		if string(checkpoints[i]) != o.checks[i] {
			return false
		}
	}
	return true
}

func openSeeds(reply *key.Box, id abaton.SessionID, text string) ([]session.Bundle, error) {
	bad := refusal(http.StatusBadRequest, "value", "the seeds do not open for this session; seal them to the session's reply key and sign in again")
	sealed, err := login.Decode(text)
	if err != nil {
		return nil, bad
	}
	bundles, err := session.OpenSeeds(reply, id, sealed)
	if err != nil {
		return nil, bad
	}
	return bundles, nil
}

// begin makes the session; the keepers hear of it at the first request.
func (g *Gateway) begin(statement []byte, s *session.Session, one *offered, bundles []session.Bundle) (*person, error) {
	st := s.Statement()
	reader, err := g.network.NewReader(client.Login{Signed: statement, Key: one.signing, Reply: one.reply, Bundles: bundles})
	if err != nil {
		return nil, fmt.Errorf("begin session: %w", err)
	}
	expires := g.now().Add(accessMax)
	if end := time.Unix(st.Expires, 0); end.Before(expires) {
		expires = end
	}
	p := &person{actor: st.Actor, id: s.ID(), role: st.Role, reply: one.reply, reader: reader, expires: expires, pages: newPager(newPagerSecret()),
		held: make(map[abaton.ActorID]*held), tags: make(map[string]abaton.ActorID)}
	g.lend(p, bundles)
	return p, nil
}

// lend notes what a device lent. A grant may be newer than the copy of its
// log here, so that is fetched anew.
func (g *Gateway) lend(p *person, bundles []session.Bundle) {
	for _, b := range bundles {
		g.network.Refresh(b.Patient)
	}
	p.take(bundles, g.ids)
}

// moreSeeds answers POST /login/seeds: grants that came after the session
// began.
func (g *Gateway) moreSeeds(_ context.Context, c *call) (*answer, error) {
	var in login.More
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	bundles, err := openSeeds(c.person.reply, c.person.id, in.Seeds)
	if err != nil {
		return nil, err
	}
	if c.person.count()+len(bundles) > heldMax {
		return nil, refusal(http.StatusRequestEntityTooLarge, "too-costly", "this session holds too many grants; sign in with fewer")
	}
	c.person.reader.AddSeeds(bundles...)
	g.lend(c.person, bundles)
	return &answer{status: http.StatusNoContent}, nil
}

// logout answers POST /logout.
func (g *Gateway) logout(_ context.Context, c *call) (*answer, error) {
	g.sessions.end(c.access)
	return &answer{status: http.StatusNoContent}, nil
}

// decodeJSON reads one JSON object with known members only.
func decodeJSON(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil || d.Decode(new(json.RawMessage)) != io.EOF {
		return refusal(http.StatusBadRequest, "structure", "the body is not the JSON object this route takes; see docs/protocol/gateway.md")
	}
	return nil
}

func jsonAnswer(v any) (*answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return &answer{status: http.StatusOK, content: contentJSON, body: append(body, '\n')}, nil
}
