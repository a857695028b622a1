package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// probe is one thing that a keeper must refuse.
type probe struct {
	name string
	want expect
	send func(ctx context.Context, p *prober) (answer, error)
	skip func(p *prober) string // why it cannot be tried; nil never
}

// run tries all probes, one after the other.
func (p *prober) run(ctx context.Context) []probed {
	var out []probed
	for _, q := range probes() {
		r := probed{Probe: q.name, Want: q.want.String()}
		if q.skip != nil {
			r.Skip = q.skip(p)
		}
		if r.Skip == "" {
			a, err := q.send(ctx, p)
			r.Got = a.String()
			if err != nil {
				r.Got = "no answer: " + err.Error()
			}
			for _, w := range q.want {
				r.OK = r.OK || err == nil && a == w
			}
		}
		out = append(out, r)
	}
	return out
}

func probes() []probe {
	all := transportProbes()
	all = append(all, routeProbes()...)
	all = append(all, formProbes()...)
	all = append(all, signerProbes()...)
	return append(all, sessionProbes()...)
}

var closed = answer{}

func transportProbes() []probe {
	return []probe{
		{name: "TLS 1.2", want: expect{closed}, send: func(ctx context.Context, p *prober) (answer, error) { return p.oldTLS(ctx) }},
		{name: "no TLS", want: expect{{status: 400}, closed}, send: func(ctx context.Context, p *prober) (answer, error) { return p.plainHTTP(ctx) }},
		{name: "TLS key", want: expect{{reason: pinShown}}, send: func(ctx context.Context, p *prober) (answer, error) { return p.certificate(ctx) },
			skip: func(p *prober) string {
				if p.pin == nil {
					return "its pin is not known: --pin"
				}
				return ""
			}},
		{name: "headers of 64 KB", want: expect{{status: 431}, closed}, send: func(ctx context.Context, p *prober) (answer, error) {
			return p.raw(ctx, request("GET", keeper.RouteEvidence, p.host, "X: "+strings.Repeat("x", 64<<10)), false)
		}},
		{name: "body cut off", want: expect{{status: 400, reason: "malformed"}, {status: 400}, closed}, send: func(ctx context.Context, p *prober) (answer, error) {
			return p.raw(ctx, request("POST", keeper.RouteQuery, p.host, "Content-Type: application/cbor", "Content-Length: 100")+"half", true)
		}},
		{name: "body of 100 MB announced", want: refusedWith(413, abaton.ReasonTooLarge), send: func(ctx context.Context, p *prober) (answer, error) {
			return p.raw(ctx, request("POST", keeper.RouteDeposit, p.host, "Content-Type: application/cbor", "Content-Length: 104857600"), false)
		}},
		{name: "two lengths", want: expect{{status: 400}, closed}, send: func(ctx context.Context, p *prober) (answer, error) {
			return p.raw(ctx, request("POST", keeper.RouteQuery, p.host, "Content-Type: application/cbor", "Content-Length: 1", "Content-Length: 2")+"ab", true)
		}},
		foreignOrigin("foreign origin", http.MethodGet, keeper.RouteEvidence, "https://evil.example", expect{{status: 200, reason: unreadable}}),
		foreignOrigin("origin null", http.MethodGet, keeper.RouteEvidence, "null", expect{{status: 200, reason: unreadable}}),
		foreignOrigin("foreign origin's preflight", http.MethodOptions, keeper.RouteRequest, "https://evil.example", refusedWith(404, abaton.ReasonRoute)),
	}
}

// request is an HTTP/1.1 request, for what Go's client would not send.
func request(method, path, host string, headers ...string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n\r\n", method, path, host, strings.Join(headers, "\r\n"))
}

// foreignOrigin wants the answer that others get, without the header that
// would let a browser's page read it.
func foreignOrigin(name, method, path, origin string, want expect) probe {
	return probe{name: name, want: want, send: func(ctx context.Context, p *prober) (answer, error) {
		a, err := p.get(ctx, method, path, http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}})
		if a.status == http.StatusOK && a.reason == "" {
			a.reason = unreadable
		}
		return a, err
	}}
}

// unreadable is public evidence, handed out without the header by which a
// browser would show it to a foreign page.
const unreadable = "unreadable to its page"

func routeProbes() []probe {
	route, absent := refusedWith(404, abaton.ReasonRoute), refusedWith(404, abaton.ReasonRoute, abaton.ReasonNotFound)
	var all []probe
	add := func(name, method, path string, want expect) {
		all = append(all, probe{name: name, want: want, send: func(ctx context.Context, p *prober) (answer, error) {
			return p.raw(ctx, request(method, path, p.host), false)
		}})
	}
	add("unknown route", "GET", "/v1/everything", route)
	add("the root", "GET", "/", route)
	add("metrics on the public address", "GET", "/metrics", route)
	for _, path := range []string{keeper.RouteSession, keeper.RouteRequest, keeper.RouteDeposit, keeper.RouteQuery, keeper.RouteWitness} {
		add("GET "+path, "GET", path, route)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		add(method+" "+keeper.RouteEvidence, method, keeper.RouteEvidence, route)
	}
	add("query string", "GET", keeper.RouteEvidence+"?from=0", route)
	add("encoded path", "GET", "/%63heckpoint", route)
	add("encoded tile path", "GET", "/tile/%30/000", absent)
	add("path with dots", "GET", "/tile/../checkpoint", absent)
	add("path with encoded dots", "GET", "/tile/%2e%2e/checkpoint", absent)
	add("path with two slashes", "GET", "//checkpoint", absent)
	add("tile of another spelling", "GET", "/tile/0/0", absent)
	add("tile that does not exist", "GET", "/tile/7/999", absent)
	return all
}

// postRoutes are those that take CBOR.
var postRoutes = []string{
	keeper.RouteSession, keeper.RouteRequest, keeper.RouteDeposit, keeper.RouteEvents, keeper.RouteCertify, keeper.RouteNotices, keeper.RouteQuery,
}

// listRoutes take a version and a list. An empty list is accepted and does
// nothing: each malform below differs from it in one way.
var listRoutes = []string{keeper.RouteDeposit, keeper.RouteEvents, keeper.RouteCertify}

// canonical is {1: 1, 2: []}.
const canonical = "a201010280"

// malforms are CBOR that is not the one canonical form of anything.
var malforms = []struct{ name, bytes string }{
	{"nothing", ""},
	{"a duplicate key", "a3010102800280"},
	{"indefinite length", "bf01010280ff"},
	{"a number in long form", "a20118010280"},
	{"a trailing byte", "a20101028000"},
	{"an unknown field", "a3010102800900"},
	{"keys out of order", "a202800101"},
	{"a tag", "c0a201010280"},
	{"an array of 2^63", "9b7fffffffffffffff"},
	{"100 arrays inside each other", strings.Repeat("81", 100) + "00"},
	{"text where a list belongs", "a20101026161"},
}

func formProbes() []probe {
	malformed := refusedWith(400, abaton.ReasonMalformed)
	var all []probe
	for _, route := range postRoutes {
		all = append(all, posted("garbage to "+route, malformed, route, keeper.ContentCBOR, func(*prober) []byte { return noise(64) }))
	}
	for _, route := range listRoutes {
		all = append(all, posted("control: the canonical form to "+route, expect{{status: 200}}, route, keeper.ContentCBOR, func(*prober) []byte { return fromHex(canonical) }))
		for _, m := range malforms {
			all = append(all, posted(m.name+" to "+route, malformed, route, keeper.ContentCBOR, func(*prober) []byte { return fromHex(m.bytes) }))
		}
	}
	large := refusedWith(413, abaton.ReasonTooLarge)
	return append(all,
		posted("content type JSON", malformed, keeper.RouteQuery, "application/json", func(*prober) []byte { return []byte("{}") }),
		posted("content type with a parameter", malformed, keeper.RouteQuery, "application/cbor; a=b", func(*prober) []byte { return fromHex("80") }),
		posted("CBOR to add-checkpoint", malformed, keeper.RouteWitness, keeper.ContentCBOR, func(*prober) []byte { return fromHex("80") }),
		posted("garbage to add-checkpoint", expect{{status: 400}}, keeper.RouteWitness, keeper.ContentText, func(*prober) []byte { return noise(64) }),
		posted("a stranger's checkpoint", expect{{status: 404}}, keeper.RouteWitness, keeper.ContentText, strangersCheckpoint),
		posted("a request of 32 KB", large, keeper.RouteRequest, keeper.ContentCBOR, func(*prober) []byte { return make([]byte, session.RequestBytesMax+1) }),
		posted("a statement of 32 KB", large, keeper.RouteSession, keeper.ContentCBOR, func(*prober) []byte { return make([]byte, session.SignedBytesMax+1) }),
		probe{name: "a query of 1 MB without length", want: large, send: func(ctx context.Context, p *prober) (answer, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+keeper.RouteQuery, struct{ *bytes.Reader }{bytes.NewReader(make([]byte, abaton.ControlBodyMax+1))})
			if err != nil {
				return answer{}, err
			}
			r.ContentLength = -1
			r.Header.Set("Content-Type", keeper.ContentCBOR)
			return p.do(r)
		}},
		probe{name: "compressed body", want: malformed, send: func(ctx context.Context, p *prober) (answer, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+keeper.RouteQuery, bytes.NewReader(fromHex("80")))
			if err != nil {
				return answer{}, err
			}
			r.Header.Set("Content-Type", keeper.ContentCBOR)
			r.Header.Set("Content-Encoding", "gzip")
			return p.do(r)
		}},
	)
}

func posted(name string, want expect, route, content string, body func(*prober) []byte) probe {
	return probe{name: name, want: want, send: func(ctx context.Context, p *prober) (answer, error) {
		return p.post(ctx, route, content, body(p))
	}}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func fromHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic("abaton: a probe's bytes are hexadecimal")
	}
	return b
}

// strangersCheckpoint is a well-formed add-checkpoint for a ledger that no
// keeper of the set has.
func strangersCheckpoint(*prober) []byte {
	k := key.NewSigning()
	signer, err := ledger.NewSigner("stranger.example/ledger", k)
	if err != nil {
		panic("abaton: a fixed name makes a signer")
	}
	c := ledger.Checkpoint{Origin: signer.Name()}
	c.Root = (&merkle{}).root()
	signed, err := note.Sign(&note.Note{Text: string(c.Text())}, signer)
	if err != nil {
		panic("abaton: a checkpoint's text can be signed")
	}
	return ledger.AddCheckpoint{Checkpoint: signed}.Marshal()
}

// signerProbes are well-formed and signed by nobody the keeper knows.
func signerProbes() []probe {
	stranger := func(change func(*keeper.Query)) func(*prober) []byte {
		return func(*prober) []byte {
			k := key.NewSigning()
			return signQuery(k, k.ID(), change)
		}
	}
	return []probe{
		posted("query without a signature", refusedWith(401, abaton.ReasonSignature), keeper.RouteQuery, keeper.ContentCBOR, func(*prober) []byte {
			return wire.Marshal(wire.Signed{Body: wire.Marshal(newQuery(key.NewSigning().ID())), Sig: make([]byte, 64)})
		}),
		posted("query in another's name", refusedWith(401, abaton.ReasonSignature), keeper.RouteQuery, keeper.ContentCBOR, func(*prober) []byte {
			return signQuery(key.NewSigning(), key.NewSigning().ID(), nil)
		}),
		posted("query of a stranger", expect{{status: 401, reason: "credential"}, {status: 403, reason: "actor-unknown"}}, keeper.RouteQuery, keeper.ContentCBOR, stranger(nil)),
		posted("feed query of a stranger", refusedWith(403, abaton.ReasonPeer), keeper.RouteQuery, keeper.ContentCBOR, stranger(func(q *keeper.Query) { q.Kind, q.Actors = keeper.QueryFeed, nil })),
		posted("query an hour old", refusedWith(401, abaton.ReasonTime), keeper.RouteQuery, keeper.ContentCBOR, stranger(func(q *keeper.Query) { q.Time -= 3600 })),
		posted("query from the future", refusedWith(401, abaton.ReasonTime), keeper.RouteQuery, keeper.ContentCBOR, stranger(func(q *keeper.Query) { q.Time += 3600 })),
		posted("request under a foreign session", refusedWith(401, abaton.ReasonNoSession), keeper.RouteRequest, keeper.ContentCBOR, func(*prober) []byte {
			return newRequest(abaton.SessionID(noise(32)), abaton.ActorID(noise(32))).Sign(key.NewSigning())
		}),
		posted("request without a signature", refusedWith(401, abaton.ReasonNoSession, abaton.ReasonSignature), keeper.RouteRequest, keeper.ContentCBOR, func(*prober) []byte {
			return wire.Marshal(wire.Signed{Body: wire.Marshal(newRequest(abaton.SessionID(noise(32)), abaton.ActorID(noise(32)))), Sig: make([]byte, 64)})
		}),
		posted("session of a stranger", expect{{status: 401, reason: "session-invalid"}, {status: 401, reason: "credential"}, {status: 403, reason: "actor-unknown"}, {status: 403, reason: "keeper-set"}},
			keeper.RouteSession, keeper.ContentCBOR, strangersSession),
	}
}

func newQuery(id abaton.KeyID) *keeper.Query {
	q := &keeper.Query{V: wire.Version, Kind: keeper.QueryLog, Actors: []abaton.ActorID{abaton.ActorID(noise(32))}, Time: uint64(time.Now().Unix()), Key: id}
	rand.Read(q.Nonce[:])
	return q
}

func signQuery(k *key.Signing, id abaton.KeyID, change func(*keeper.Query)) []byte {
	q := newQuery(id)
	if change != nil {
		change(q)
	}
	return wire.Marshal(k.Seal(wire.Query, wire.Marshal(q)))
}

func newRequest(id abaton.SessionID, patient abaton.ActorID) *session.Request {
	q := &session.Request{V: wire.Version, Session: id, Patient: patient, Mode: session.History, Purpose: abaton.PatientAccess, Time: time.Now().Unix()}
	rand.Read(q.Nonce[:])
	return q
}

// strangersSession is a whole statement, signed by a passkey nobody enrolled.
func strangersSession(*prober) []byte {
	passkey, err := key.NewPasskey(key.RelyingParty{ID: "localhost", Origins: []string{"https://localhost"}})
	if err != nil {
		panic("abaton: a software passkey can be made")
	}
	now := time.Now().Unix()
	st := session.Statement{
		V: wire.Version, Actor: abaton.ActorID(noise(32)), Credential: passkey.Credential(), Key: key.NewSigning().ID(),
		Reply: key.NewBox().Public().Bytes(), NotBefore: now - 5, Expires: now + 600, Set: abaton.ActorID(noise(32)), Checkpoints: [][]byte{noise(32)},
	}
	rand.Read(st.Nonce[:])
	bytes := st.Marshal()
	assertion, err := passkey.Assert(session.Challenge(bytes))
	if err != nil {
		panic("abaton: a software passkey asserts")
	}
	signed := session.Signed{Statement: bytes, Assertion: *assertion}
	return signed.Marshal()
}
