package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/keeper"
)

// actorKeeper is a keeper's entry in its set.
type actorKeeper = actor.Keeper

// probeWait is how long a keeper may take for one probe.
const probeWait = 15 * time.Second

// prober sends one keeper what it must refuse.
type prober struct {
	base, host string
	http       *http.Client
	pin        *[32]byte      // its TLS key; nil is not known
	network    *local.Network // whose keeper it is; nil is not known
	entry      *actorKeeper
}

func newProber(address string) (*prober, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || (u.Path != "" && u.Path != "/") {
		return nil, usage("%q: need https://host:port", address)
	}
	p := &prober{base: "https://" + u.Host, host: u.Host}
	if u.Port() == "" {
		p.host = net.JoinHostPort(u.Hostname(), "443")
	}
	p.http = &http.Client{Timeout: probeWait, Transport: &http.Transport{TLSClientConfig: anyCertificate(), ForceAttemptHTTP2: true}}
	return p, nil
}

func (p *prober) close() { p.http.CloseIdleConnections() }

// anyCertificate accepts every certificate: the pin is a probe of its own, and
// nothing secret is sent.
func anyCertificate() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}
}

// reach tells a keeper that is away from one that refuses.
func (p *prober) reach(ctx context.Context) error {
	if a, err := p.get(ctx, http.MethodGet, keeper.RouteEvidence, nil); err != nil || a.status == 0 {
		return errors.Join(errors.New("it does not answer"), err)
	}
	return nil
}

// get sends a request without a body.
func (p *prober) get(ctx context.Context, method, path string, header http.Header) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.base+path, nil)
	if err != nil {
		return answer{}, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	return p.do(r)
}

// post sends a body under a content type.
func (p *prober) post(ctx context.Context, route, content string, body []byte) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+route, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", content)
	return p.do(r)
}

// do gives how it was answered. A browser let in from elsewhere is noted.
func (p *prober) do(r *http.Request) (answer, error) {
	resp, err := p.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	return answerOf(resp), nil
}

func answerOf(resp *http.Response) answer {
	a := answer{status: resp.StatusCode}
	body, err := io.ReadAll(io.LimitReader(resp.Body, evidenceBytesMax))
	if err != nil {
		return answer{}
	}
	var problem struct{ Reason string }
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") && json.Unmarshal(body, &problem) == nil {
		a.reason = problem.Reason
	}
	if resp.Header.Get("Access-Control-Allow-Origin") != "" {
		a.reason = "let a foreign origin in"
	}
	return a
}

// raw sends text as it stands over TLS and HTTP/1.1, and then ends the
// sending side if cut is set.
func (p *prober) raw(ctx context.Context, text string, cut bool) (answer, error) {
	config := anyCertificate()
	config.NextProtos = []string{"http/1.1"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", p.host)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(probeWait)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return answer{}, nil // it hung up while we spoke
	}
	if cut {
		if err := conn.(*tls.Conn).CloseWrite(); err != nil {
			return answer{}, err
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, nil // it hung up without a word
	}
	defer resp.Body.Close()
	return answerOf(resp), nil
}

// certificate compares the keeper's TLS key with the pinned one.
func (p *prober) certificate(ctx context.Context) (answer, error) {
	conn, err := (&tls.Dialer{Config: anyCertificate()}).DialContext(ctx, "tcp", p.host)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	shown := conn.(*tls.Conn).ConnectionState().PeerCertificates
	if len(shown) == 0 {
		return answer{reason: "no certificate"}, nil
	}
	got := sha256.Sum256(shown[0].RawSubjectPublicKeyInfo)
	if subtle.ConstantTimeCompare(got[:], p.pin[:]) != 1 {
		return answer{reason: "another key"}, nil
	}
	return answer{reason: pinShown}, nil
}

const pinShown = "the pinned key"

// oldTLS offers nothing newer than TLS 1.2.
func (p *prober) oldTLS(ctx context.Context) (answer, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", p.host)
	if err != nil {
		return answer{}, nil // refused, as it must be
	}
	defer conn.Close()
	return answer{reason: fmt.Sprintf("spoke TLS version %#x", conn.(*tls.Conn).ConnectionState().Version)}, nil
}

// plainHTTP speaks without TLS.
func (p *prober) plainHTTP(ctx context.Context) (answer, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.host)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(probeWait)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(conn, "GET "+keeper.RouteEvidence+" HTTP/1.1\r\nHost: "+p.host+"\r\n\r\n"); err != nil {
		return answer{}, nil
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, nil
	}
	defer resp.Body.Close()
	return answerOf(resp), nil
}
