package people

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// answerMax caps what is read of a gateway's answer to a sign-in, in bytes.
const answerMax = 1 << 20

// accessFile holds the access value of a person's last sign-in, mode 0600.
const accessFile = "access"

// ErrSignIn says that there is no sign-in here, or that it has ended.
var ErrSignIn = errors.New("not signed in")

// GatewayError is a gateway's refusal.
type GatewayError struct {
	Status int    // HTTP
	Says   string // what the gateway says to do
}

func (e *GatewayError) Error() string {
	return fmt.Sprintf("gateway answered %d: %s", e.Status, e.Says)
}

// Is lets errors.Is(err, ErrSignIn) hold for 401.
func (e *GatewayError) Is(target error) bool {
	return target == ErrSignIn && e.Status == http.StatusUnauthorized
}

// Session is a person signed in at a gateway.
type Session struct {
	URL     string // the gateway
	Access  string // for the header Authorization: Bearer
	Expires time.Time

	offer login.Offer
	done  login.Completion
}

// SignIn signs p in at the gateway of p's organisation and lends it the seeds
// of bundles until the session ends.
func (w *World) SignIn(ctx context.Context, p *Person, url string, bundles []session.Bundle) (*Session, error) {
	s := &Session{URL: url}
	if err := s.post(ctx, "/login/offer", struct{}{}, &s.offer); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	first := bundles[:min(len(bundles), session.BundlesMax)]
	device, err := w.device(p)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	done, err := login.Answer(s.offer, device, first, time.Now())
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	s.done = *done
	var access login.Access
	if err := s.post(ctx, "/login/complete", done, &access); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	s.Access, s.Expires = access.Access, time.Unix(access.Expires, 0)
	return s, s.Lend(ctx, bundles[len(first):])
}

// Lend lends the gateway further seeds.
func (s *Session) Lend(ctx context.Context, bundles []session.Bundle) error {
	for part := range slices.Chunk(bundles, session.BundlesMax) {
		more, err := login.Add(s.offer, s.done, part)
		if err != nil {
			return fmt.Errorf("lend seeds: %w", err)
		}
		if err := s.post(ctx, "/login/seeds", more, nil); err != nil {
			return fmt.Errorf("lend seeds: %w", err)
		}
	}
	return nil
}

// Request is a request to the gateway in this session's name.
func (s *Session) Request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask gateway: %w", err)
	}
	if s.Access != "" {
		r.Header.Set("Authorization", "Bearer "+s.Access)
	}
	return r, nil
}

func (s *Session) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := s.Request(ctx, http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask gateway: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return fmt.Errorf("ask gateway: %w", err)
	}
	if resp.StatusCode >= 300 {
		return Refusal(resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return errors.New("ask gateway: the answer is not the JSON that was expected")
	}
	return nil
}

// Refusal is a gateway's OperationOutcome as an error.
func Refusal(status int, body []byte) *GatewayError {
	var outcome struct {
		Issue []struct{ Diagnostics, Code string }
	}
	e := &GatewayError{Status: status, Says: http.StatusText(status)}
	if json.Unmarshal(body, &outcome) == nil && len(outcome.Issue) > 0 && outcome.Issue[0].Diagnostics != "" {
		e.Says = outcome.Issue[0].Diagnostics
	}
	return e
}

// Keep stores the access value in the person's folder.
func (w *World) Keep(p *Person, s *Session) error {
	return durable.WriteFile(w.AccessFile(p.Handle), []byte(s.Access), 0o600)
}

// AccessFile is where Keep stores the access value.
func (w *World) AccessFile(handle string) string { return filepath.Join(w.Dir(handle), accessFile) }

// Kept is the session whose access value Keep stored; ErrSignIn if there is
// none. It can ask, and not lend further seeds.
func (w *World) Kept(handle, url string) (*Session, error) {
	text, err := os.ReadFile(w.AccessFile(handle))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrSignIn
	}
	if err != nil {
		return nil, fmt.Errorf("read access value: %w", err)
	}
	return &Session{URL: url, Access: strings.TrimSpace(string(text))}, nil
}

// Direct is a session of p at the keepers themselves, with no gateway between:
// its keys are made here, as a device does for its owner.
func (w *World) Direct(ctx context.Context, p *Person, n *client.Network, bundles ...session.Bundle) (client.Login, error) {
	checks, err := n.Checkpoints(ctx)
	if err != nil {
		return client.Login{}, fmt.Errorf("begin session: %w", err)
	}
	device, err := w.device(p)
	if err != nil {
		return client.Login{}, fmt.Errorf("begin session: %w", err)
	}
	l := client.Login{Key: key.NewSigning(), Reply: key.NewBox(), Bundles: bundles}
	o := login.Offer{Session: l.Key.ID().String(), Reply: login.Encode(l.Reply.Public().Bytes()), Set: w.set.ID().String(),
		Organisation: device.Gateway.String(), Nonce: login.Encode(nonce())}
	for _, c := range checks {
		o.Checkpoints = append(o.Checkpoints, string(c))
	}
	done, err := login.Answer(o, device, nil, time.Now())
	if err != nil {
		return client.Login{}, fmt.Errorf("begin session: %w", err)
	}
	l.Signed, err = login.Decode(done.Statement)
	return l, err
}

func nonce() []byte {
	s := key.NewSecret()
	return s[:grant.NonceBytes]
}

// Reads reports whether a grant to who to read, live for at least spare, is in
// the log.
func Reads(st *actor.State, who *Person, now time.Time, spare time.Duration) bool {
	for _, g := range st.Grants() {
		if g.Grantee == who.ID && g.Actions&grant.Read != 0 && g.Expires > now.Add(spare).Unix() && g.NotBefore <= now.Unix() {
			return true
		}
	}
	return false
}
