package smart

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/pelletier/go-toml/v2"
)

// Kind is how an app can prove who it is. The zero Kind is none.
type Kind uint8

const (
	// Public apps hold no secret: a browser page, a phone.
	Public Kind = 1 + iota
	// Confidential apps sign with a key of their own.
	Confidential
	// Backend services do too, and act without a person at hand.
	Backend
)

func (k Kind) String() string {
	switch k {
	case Public:
		return "public"
	case Confidential:
		return "confidential"
	case Backend:
		return "backend"
	}
	return "none"
}

// App is one registered app.
type App struct {
	ID        string // client_id
	Name      string // for people to read
	Kind      Kind
	Redirects []string
	Origins   []string // browser origins that may read answers; those of Redirects and more
	Launch    string   // where a clinician's system sends a launch; "" for none
	Scopes    Scopes   // the most it may be given
	Keys      jose.JSONWebKeySet
	// ProofOptional lets a public app work without proofs of possession. It is
	// the weaker setting: a stolen access value then works anywhere until it
	// ends.
	ProofOptional bool
	// Actor is the actor, act1..., of a backend service.
	Actor string
}

// Registry are the apps of one gateway. The zero Registry knows none.
type Registry struct{ apps map[string]*App }

// form is the registry's file.
type form struct {
	App []appForm `toml:"app"`
}

type appForm struct {
	ID       string   `toml:"id"`
	Name     string   `toml:"name"`
	Type     string   `toml:"type"`
	Redirect []string `toml:"redirect_uris"`
	Origins  []string `toml:"origins"`
	Launch   string   `toml:"launch_url"`
	Scopes   string   `toml:"scopes"`
	Keys     string   `toml:"jwks"`
	KeysFile string   `toml:"jwks_file"`
	Proof    string   `toml:"dpop"`
	Actor    string   `toml:"actor"`
}

// ParseRegistry reads a registry (docs/OPERATING.md#apps). Unknown settings
// are refused; errors name the app and the setting. read fetches a key file
// by the name that stands in the registry.
func ParseRegistry(text []byte, read func(name string) ([]byte, error)) (*Registry, error) {
	var f form
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&f); err != nil {
		if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
			return nil, fmt.Errorf("apps: unknown setting\n%s", strict.String())
		}
		return nil, fmt.Errorf("apps: %w", err)
	}
	if len(f.App) > AppsMax {
		return nil, fmt.Errorf("apps: more than %d", AppsMax)
	}
	r := &Registry{apps: make(map[string]*App, len(f.App))}
	for i := range f.App {
		app, err := f.App[i].app(read)
		if err != nil {
			return nil, fmt.Errorf("apps: app %d (%s): %w", i+1, f.App[i].ID, err)
		}
		if r.apps[app.ID] != nil {
			return nil, fmt.Errorf("apps: app %d: the id %s is there twice", i+1, app.ID)
		}
		r.apps[app.ID] = app
	}
	return r, nil
}

// App finds one by its id; nil if there is none.
func (r *Registry) App(id string) *App {
	if r == nil {
		return nil
	}
	return r.apps[id]
}

// All lists the apps by id.
func (r *Registry) All() (all []*App) {
	if r == nil {
		return nil
	}
	for _, a := range r.apps {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *App) int { return strings.Compare(a.ID, b.ID) })
	return all
}

var appID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$`)

const nameBytesMax = 80

func (f *appForm) app(read func(string) ([]byte, error)) (*App, error) {
	a := &App{ID: f.ID, Name: f.Name, Redirects: f.Redirect, Launch: f.Launch, Actor: f.Actor}
	switch {
	case !appID.MatchString(f.ID):
		return nil, errors.New("id: 1 to 64 letters, digits and . _ ~ -")
	case f.Name == "" || len(f.Name) > nameBytesMax || strings.ContainsFunc(f.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return nil, errors.New("name: what people shall read, at most 80 bytes")
	case len(f.Redirect) > redirectsMax || len(f.Origins) > redirectsMax:
		return nil, errors.New("redirect_uris, origins: too many")
	}
	for _, k := range []Kind{Public, Confidential, Backend} {
		if k.String() == f.Type {
			a.Kind = k
		}
	}
	if a.Kind == 0 {
		return nil, errors.New("type: public, confidential or backend")
	}
	for _, set := range []func(*App) error{f.addresses, f.scopes, f.proof, func(a *App) error { return f.keys(a, read) }} {
		if err := set(a); err != nil {
			return nil, err
		}
	}
	if a.Actor != "" && a.Kind != Backend {
		return nil, errors.New("actor: only a backend service has one of its own here")
	}
	return a, nil
}

// addresses checks the redirect URIs and makes the list of origins.
func (f *appForm) addresses(a *App) error {
	if (len(f.Redirect) == 0) != (a.Kind == Backend) {
		return errors.New("redirect_uris: needed, but for a backend service")
	}
	for _, text := range f.Redirect {
		origin, err := redirectOrigin(text)
		if err != nil {
			return fmt.Errorf("redirect_uris: %w", err)
		}
		if origin != "" && !slices.Contains(a.Origins, origin) {
			a.Origins = append(a.Origins, origin)
		}
	}
	for _, text := range f.Origins {
		u, err := url.Parse(text)
		if err != nil || !secure(u) || u.Host == "" || u.Scheme+"://"+u.Host != text {
			return errors.New("origins: https://host[:port], nothing after it")
		}
		if !slices.Contains(a.Origins, text) {
			a.Origins = append(a.Origins, text)
		}
	}
	if f.Launch != "" {
		if u, err := url.Parse(f.Launch); err != nil || !secure(u) || u.Host == "" || u.User != nil || u.Fragment != "" {
			return errors.New("launch_url: https, without a fragment")
		}
	}
	return nil
}

func (f *appForm) scopes(a *App) error {
	s, dropped, err := ParseScopes(f.Scopes)
	if err != nil || len(dropped) > 0 || s.Empty() {
		return errors.New("scopes: at least one clinical scope, and none that is not known here")
	}
	if s.At(SystemLevel) != (a.Kind == Backend) || a.Kind == Backend && (s.At(PatientLevel) || s.At(PersonLevel) || len(s.Others) > 0) {
		return errors.New("scopes: a backend service has system/ scopes and no others, all other apps none of these")
	}
	a.Scopes = s
	return nil
}

func (f *appForm) proof(a *App) error {
	switch f.Proof {
	case "", "required":
	case "optional":
		a.ProofOptional = true
	default:
		return errors.New("dpop: required or optional")
	}
	return nil
}

// keys takes in the public keys of an app that signs.
func (f *appForm) keys(a *App, read func(string) ([]byte, error)) error {
	text := []byte(f.Keys)
	if (f.Keys != "" || f.KeysFile != "") == (a.Kind == Public) || f.Keys != "" && f.KeysFile != "" {
		return errors.New("jwks or jwks_file: one of them, and none for a public app")
	}
	if f.KeysFile != "" {
		var err error
		if text, err = read(f.KeysFile); err != nil {
			return fmt.Errorf("jwks_file: %w", err)
		}
	}
	if a.Kind == Public {
		return nil
	}
	keys, err := parseKeys(text)
	if err != nil {
		return err
	}
	a.Keys = keys
	return nil
}

// secure accepts https, and http on this machine alone (RFC 8252, section 8.3).
func secure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u)
}

// loopback reports whether a URL names this machine by its address. The name
// localhost is not taken: what it means can change.
func loopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

// redirectOrigin checks one redirect URI: absolute, no fragment, no name and
// password; https, a loopback address, or a scheme of the app's own with a dot
// in it (RFC 8252, section 7.1). It gives the browser origin, "" for a scheme
// of its own.
func redirectOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.String() != text || len(text) > ParameterBytesMax:
		return "", errors.New("not a URI in its plain form")
	case u.Fragment != "" || strings.Contains(text, "#") || u.User != nil:
		return "", errors.New("no fragment, no name and password")
	case u.Scheme != "https" && u.Scheme != "http":
		if !strings.Contains(u.Scheme, ".") {
			return "", errors.New("a scheme of the app's own has a dot in it, as com.example.app")
		}
		return "", nil
	case !secure(u) || u.Hostname() == "":
		return "", errors.New("https, or http at a loopback address")
	}
	return u.Scheme + "://" + u.Host, nil
}

// redirects reports whether a URI is one of the app's: the same text, or, for
// a loopback address, the same but for the port (RFC 8252, section 7.3).
func (a *App) redirects(text string) bool {
	return slices.ContainsFunc(a.Redirects, func(have string) bool { return text == have || sameButPort(have, text) })
}

// From reports whether a browser origin is one of the app's.
func (a *App) From(origin string) bool {
	return slices.ContainsFunc(a.Origins, func(have string) bool { return origin == have || sameButPort(have, origin) })
}

func sameButPort(have, text string) bool {
	h, err := url.Parse(have)
	if err != nil || h.Scheme != "http" || !loopback(h) {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || u.String() != text || u.Hostname() != h.Hostname() || len(text) > ParameterBytesMax {
		return false
	}
	port := u.Port()
	if port != "" && !validPort(port) || strings.HasSuffix(u.Host, ":") {
		return false
	}
	h.Host, u.Host = h.Hostname(), u.Hostname()
	return h.String() == u.String()
}

func validPort(port string) bool {
	_, err := netip.ParseAddrPort("127.0.0.1:" + port)
	return err == nil && port[0] != '0'
}

// From reports whether a browser origin belongs to any app.
func (r *Registry) From(origin string) bool {
	return origin != "" && slices.ContainsFunc(r.All(), func(a *App) bool { return a.From(origin) })
}
