package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
)

// ledgerFlags say which ledgers are meant: those of a network's keepers, or
// one anywhere.
type ledgerFlags struct {
	url, origin, key, pin, seen string
}

func (f *ledgerFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.url, "url", "", "one keeper's address, instead of a network's keepers")
	c.Flags().StringVar(&f.origin, "origin", "", "its ledger's name, if it is not the key's")
	c.Flags().StringVar(&f.key, "key", "", "its ledger's key (vkey, c2sp.org/signed-note)")
	c.Flags().StringVar(&f.pin, "pin", "", "SHA-256 of its TLS key, in hex; what is read is signed, so it may be left out")
	c.Flags().StringVar(&f.seen, "seen", "", "folder of the checkpoints seen before (default DIR/seen)")
}

// ledgerSource is one keeper's published ledger and what verifies it.
type ledgerSource struct {
	name   string // for people: "keeper 3"
	origin string
	signer note.Verifier
	own    note.Verifier // dates its checkpoints; nil if not known
	peers  []peerKey
	fetch  fetcher
}

// fetcher reads a keeper's evidence routes; a *keeper.Client is one. The path
// begins with a slash. It ends when ctx does.
type fetcher interface {
	Fetch(ctx context.Context, path string) ([]byte, error)
}

// peerKey verifies one other keeper's cosignatures.
type peerKey struct {
	name   string
	dated  note.Verifier
	origin string
}

// sources are the ledgers that the flags mean, and where checkpoints of them
// are remembered; hangUp ends the connections.
func (e *env) sources(f *ledgerFlags) (all []ledgerSource, seen string, hangUp func(), err error) {
	if f.url != "" {
		return f.single()
	}
	if f.origin != "" || f.key != "" || f.pin != "" {
		return nil, "", nil, usage("--origin, --key and --pin go with --url")
	}
	n, err := e.network()
	if err != nil {
		return nil, "", nil, err
	}
	if seen = f.seen; seen == "" {
		seen = filepath.Join(n.Dir(), "seen")
	}
	all, hangUp, err = setSources(n.Set())
	return all, seen, hangUp, err
}

// setSources are the ledgers of all keepers of a set.
func setSources(set *actor.Set) (all []ledgerSource, hangUp func(), err error) {
	var dialled []*keeper.Client
	hangUp = func() {
		for _, k := range dialled {
			k.Close()
		}
	}
	var keys []peerKey
	for i := range set.Keepers {
		k := &set.Keepers[i]
		dated, err := ledger.NewCosignatureVerifier(k.Origin, k.Key)
		if err != nil {
			return nil, nil, fmt.Errorf("keeper %d: %w", k.X, err)
		}
		keys = append(keys, peerKey{name: fmt.Sprintf("keeper %d", k.X), dated: dated, origin: k.Origin})
	}
	for i := range set.Keepers {
		k := &set.Keepers[i]
		s := ledgerSource{name: keys[i].name, origin: k.Origin, own: keys[i].dated}
		if s.signer, err = ledger.NewVerifier(k.Origin, k.Key); err != nil {
			return nil, nil, fmt.Errorf("keeper %d: %w", k.X, err)
		}
		for _, p := range keys {
			if p.origin != k.Origin {
				s.peers = append(s.peers, p)
			}
		}
		c, err := keeper.Dial(k.URL, k.SPKI)
		if err != nil {
			return nil, nil, fmt.Errorf("keeper %d: %w", k.X, err)
		}
		s.fetch, dialled = c, append(dialled, c)
		all = append(all, s)
	}
	return all, hangUp, nil
}

// single is one ledger, known by address and key alone.
func (f *ledgerFlags) single() ([]ledgerSource, string, func(), error) {
	if f.key == "" {
		return nil, "", nil, usage("--url needs --key: without the ledger's key nothing can be verified")
	}
	v, err := ledger.ParseVerifierKey(f.key)
	if err != nil {
		return nil, "", nil, usage("--key is not a vkey")
	}
	s := ledgerSource{name: f.url, origin: f.origin, signer: v}
	if s.origin == "" {
		s.origin = v.Name()
	}
	if f.pin == "" {
		p, err := newUnpinned(f.url)
		if err != nil {
			return nil, "", nil, err
		}
		s.fetch = p
		return []ledgerSource{s}, f.seen, p.http.CloseIdleConnections, nil
	}
	pin, err := parsePin(f.pin)
	if err != nil {
		return nil, "", nil, err
	}
	c, err := keeper.Dial(f.url, pin)
	if err != nil {
		return nil, "", nil, usage("%v", err)
	}
	s.fetch = c
	return []ledgerSource{s}, f.seen, c.Close, nil
}

func parsePin(text string) (pin [32]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(pin) {
		return pin, usage("--pin is 64 hexadecimal digits")
	}
	return [32]byte(b), nil
}

// unpinned reads evidence whoever's certificate is shown: every byte of it is
// checked against the ledger's signature, so a wrong machine can only be
// refused.
type unpinned struct {
	base string
	http *http.Client
}

// evidenceBytesMax caps one answer: a bundle of 256 leaves has 8,704 bytes.
const evidenceBytesMax = 64 << 10

// evidenceWait is how long one answer may take.
const evidenceWait = 20 * time.Second

func newUnpinned(base string) (*unpinned, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
		return nil, usage("--url is https://host:port")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	return &unpinned{base: base, http: &http.Client{Transport: transport, Timeout: evidenceWait}}, nil
}

// Fetch implements fetcher.
func (u *unpinned) Fetch(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch evidence: %w", err)
	}
	resp, err := u.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fetch evidence: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch evidence: status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, evidenceBytesMax+1))
	if err == nil && len(b) > evidenceBytesMax {
		err = errors.New("answer is too long")
	}
	if err != nil {
		return nil, fmt.Errorf("fetch evidence: %w", err)
	}
	return b, nil
}
