package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/thief"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// maliciousGateway has the gateway's disk searched, its keys ask, and its answer
// to an app altered. Only its memory is left out: see gateway-memory.
func maliciousGateway(ctx context.Context, g *ground) (loss, error) {
	l, h, began := unseen(), newHaul(), time.Now()
	loot, err := thief.StealFiles(ctx, filepath.Join(g.dir, "stolen", "gateway"), g.n.GatewayDir())
	if err != nil {
		return l, err
	}
	report, err := thief.Open(ctx, g.facts, loot)
	if err != nil {
		return l, err
	}
	if err := searched(report, true); err != nil {
		return l, err
	}
	asked := time.Now()
	got, err := g.asGateway(ctx)
	if err != nil {
		return l, err
	}
	h.join(got)
	l.stopped = time.Since(asked)
	if l.seen, err = g.falseAnswer(ctx); err != nil {
		return l, err
	}
	if _, err := g.account(ctx, &l, began, h, by(g.org.ID)); err != nil {
		return l, err
	}
	l.records += report.Found
	l.detail = fmt.Sprintf("%d files searched, %d facts found; its keys get no answer; the altered chart was seen by comparing it with the patient's own device, which asks no gateway (an app alone cannot see it)",
		report.Files, report.Found)
	return l, nil
}

// gatewayKeys is a gateway's key file.
type gatewayKeys struct {
	V      uint8  `cbor:"1,keyasint"`
	Writer []byte `cbor:"2,keyasint"`
	Box    []byte `cbor:"3,keyasint"`
	IDs    []byte `cbor:"4,keyasint"`
	Outbox []byte `cbor:"5,keyasint"`
}

func readGatewayKeys(dir string) (k gatewayKeys, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "identity.key"))
	if err != nil {
		return k, err
	}
	return k, wire.Unmarshal(data, &k)
}

// asGateway asks as the organisation itself, with what its box unwraps.
func (g *ground) asGateway(ctx context.Context) (*haul, error) {
	k, err := readGatewayKeys(g.n.GatewayDir())
	if err != nil {
		return nil, err
	}
	bundles, err := unwrapped(ctx, g.org.net, g.org.ID, key.BoxFromSeed(key.Secret(k.Box)), g.patients[:3])
	if err != nil {
		return nil, err
	}
	passkey, err := key.NewPasskey(g.n.Set().RelyingParty)
	if err != nil {
		return nil, err
	}
	l, err := begun(ctx, g.org.net, g.org.ID, login.Device{Actor: g.org.ID, Organisation: g.org.ID, Role: abaton.RoleRecords, Passkey: passkey}, bundles...)
	if err != nil {
		return nil, err
	}
	return g.few().ransack(ctx, l, passkey)
}

// unwrapped opens what was sealed to a grantee, with its box alone.
func unwrapped(ctx context.Context, net *client.Network, grantee abaton.ActorID, box *key.Box, patients []*people.Person) (all []session.Bundle, err error) {
	for _, p := range patients {
		log, err := net.Log(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		for id, held := range log.Grants() {
			given, ok := log.Given(id)
			if held.Grantee != grantee || !ok {
				continue
			}
			if seeds, err := grant.Unwrap(box, given.Grant, given.Wrap); err == nil {
				all = append(all, session.Bundle{Patient: p.ID, Grant: id, Seeds: seeds})
			}
		}
	}
	return all, nil
}

// falseAnswer reads a chart through a gateway that alters one word, and compares
// it with the patient's own device's, which asks no gateway. It is how long that
// takes.
func (g *ground) falseAnswer(ctx context.Context) (time.Duration, error) {
	reader, err := g.bad()
	if err != nil {
		return -1, err
	}
	p := g.patients[8]
	s, _, err := signIn(ctx, g.n, reader)
	if err != nil {
		return -1, err
	}
	own, err := g.ownChart(ctx, p)
	if err != nil {
		return -1, err
	}
	honest, err := differing(ctx, s, own)
	if err != nil {
		return -1, err
	}
	if honest != 0 {
		return -1, fmt.Errorf("%d resources differ without an attack", honest)
	}
	hostile, err := altering(g.n.GatewayURL(), func(_ *http.Response, body []byte) []byte {
		return bytes.ReplaceAll(body, []byte("kilograms"), []byte("stones"))
	})
	if err != nil {
		return -1, err
	}
	defer hostile.close()
	began := time.Now()
	s.URL = hostile.url
	n, err := differing(ctx, s, own)
	if err != nil {
		return -1, err
	}
	if n == 0 {
		return -1, errors.New("altered bytes went unnoticed")
	}
	return time.Since(began), nil
}

// differing counts the resources that a session shows otherwise than they lie at
// the keepers, read as the patient reads them.
func differing(ctx context.Context, s *people.Session, own *client.Chart) (n int, err error) {
	lies := make(map[string]any)
	patient := ""
	for i := range own.Records {
		r := &own.Records[i]
		if r.Envelope.Type == "Patient" {
			patient = r.Envelope.ID
		}
		if lies[r.Envelope.Type+"/"+r.Envelope.ID], err = bare(r.Content); err != nil {
			return 0, err
		}
	}
	shown, err := everything(ctx, s, patient)
	if err != nil {
		return 0, err
	}
	for at, text := range shown {
		got, err := bare(text)
		if err != nil {
			return 0, err
		}
		if !reflect.DeepEqual(got, lies[at]) {
			n++
		}
	}
	return n, nil
}

// bare is a resource without what a gateway may set: id and meta.
func bare(text []byte) (map[string]any, error) {
	var r map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	delete(r, "id")
	delete(r, "meta")
	return r, nil
}

// altering is somebody between a browser or an app and the gateway, on this
// machine, who changes answers.
func altering(gateway string, change func(*http.Response, []byte) []byte) (*here, error) {
	to, err := url.Parse(gateway)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Header.Del("Accept-Encoding") },
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(io.LimitReader(r.Body, responseMax))
			if err != nil {
				return err
			}
			r.Body.Close()
			body = change(r, body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}
	return serveHere(proxy)
}

// here is a server of an attacker on this machine.
type here struct {
	url    string
	server *http.Server
}

func serveHere(h http.Handler) (*here, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: probeWait}
	go s.Serve(ln)
	return &here{url: "http://" + ln.Addr().String(), server: s}, nil
}

func (h *here) close() { h.server.Close() }

// isPage reports whether an answer is a page for people.
func isPage(r *http.Response) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "text/html")
}
