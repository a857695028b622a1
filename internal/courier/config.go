package courier

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/alert"
	"github.com/abaton-health/abaton/internal/deliver"
)

// Config is the configuration file: where alerts go. No secret stands in it, only
// the names of files that hold them.
type Config struct {
	State     string   `json:"state"`             // file of what was sent; relative to the configuration
	Link      string   `json:"link"`              // https, where people look; empty for none
	Every     int      `json:"every_seconds"`     // between two looks; 0 for 5
	Heartbeat *int     `json:"heartbeat_minutes"` // between two heartbeats; absent for 60, 0 for none
	Targets   []Target `json:"targets"`
}

// Target is one receiver. Which fields it has, its kind says.
type Target struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`   // webhook, syslog or mail
	Inside bool   `json:"inside"` // may lie at an address of the house or of this machine
	CA     string `json:"ca_file"`

	URL    string `json:"url"`         // webhook
	Secret string `json:"secret_file"` // webhook: whsec_..., and
	Key    string `json:"key_file"`    // whsk_...; one or both

	Address        string `json:"address"` // syslog, mail: host:port
	Certificate    string `json:"certificate_file"`
	CertificateKey string `json:"certificate_key_file"` // syslog: this side's, both or none
	Host           string `json:"host"`                 // syslog: what the receiver calls this side

	TLS      string   `json:"tls"` // mail: starttls (default) or implicit
	Account  string   `json:"account"`
	Password string   `json:"password_file"`
	From     string   `json:"from"`
	To       []string `json:"to"`
}

// Limits of a configuration.
const (
	configBytesMax = 64 << 10 // a file that is larger is another
	secretBytesMax = 4 << 10
	targetsMax     = 32
	receiversMax   = 16 // of one e-mail
	everyMin       = time.Second
	everyMax       = time.Minute // SilentAfter needs two looks
)

// ReadConfig reads a configuration strictly: a field that it does not know, or has
// twice, is refused by its line. Paths come back relative to nothing.
func ReadConfig(path string) (*Config, error) {
	text, err := readSmall(path, configBytesMax)
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	c := new(Config)
	if err := decodeStrict(text, c); err != nil {
		return nil, fmt.Errorf("alerts: %w", err)
	}
	base := filepath.Dir(path)
	under(base, &c.State)
	for i := range c.Targets {
		t := &c.Targets[i]
		under(base, &t.CA, &t.Secret, &t.Key, &t.Certificate, &t.CertificateKey, &t.Password)
	}
	return c, c.check()
}

func under(base string, paths ...*string) {
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
}

func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = errors.New("the file is too large")
	}
	return text, err
}

// decodeStrict decodes one JSON value: no field that is unknown or twice, nothing
// behind it.
func decodeStrict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := once(d, text); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("line %d: something stands behind the end", lineAt(text, d.InputOffset()))
	}
	d = json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		at := d.InputOffset()
		if e, is := errors.AsType[*json.UnmarshalTypeError](err); is {
			return fmt.Errorf("line %d: %s is no %s", lineAt(text, e.Offset), e.Field, e.Type)
		}
		if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
			return fmt.Errorf("line %d: unknown field %s", lineOf(text, strings.Trim(name, `"`), at), name)
		}
		return fmt.Errorf("line %d: %w", lineAt(text, at), err)
	}
	return nil
}

func lineAt(text []byte, at int64) int {
	return 1 + bytes.Count(text[:min(max(at, 0), int64(len(text)))], []byte("\n"))
}

// lineOf is where a field stands first that nothing knows: its name in quotes.
func lineOf(text []byte, name string, at int64) int {
	if i := bytes.Index(text, []byte(`"`+name+`"`)); i >= 0 {
		return lineAt(text, int64(i))
	}
	return lineAt(text, at)
}

// once walks one value and refuses a field that an object has twice, in whatever
// case: encoding/json would take the last.
func once(d *json.Decoder, text []byte) error {
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("line %d: not JSON: %w", lineAt(text, d.InputOffset()), err)
	}
	open, is := t.(json.Delim)
	if !is {
		return nil
	}
	seen := make(map[string]bool)
	for d.More() {
		if open == '{' {
			k, err := d.Token()
			if err != nil {
				return fmt.Errorf("line %d: not JSON: %w", lineAt(text, d.InputOffset()), err)
			}
			name, _ := k.(string)
			if seen[strings.ToLower(name)] {
				return fmt.Errorf("line %d: %q stands twice", lineAt(text, d.InputOffset()), name)
			}
			seen[strings.ToLower(name)] = true
		}
		if err := once(d, text); err != nil {
			return err
		}
	}
	_, err = d.Token()
	if err != nil {
		return fmt.Errorf("line %d: not JSON: %w", lineAt(text, d.InputOffset()), err)
	}
	return nil
}

func (c *Config) check() error {
	switch {
	case c.State == "":
		return errors.New("alerts: state says in which file what was sent is remembered")
	case c.Link != "" && !alert.Link(c.Link):
		return errors.New("alerts: link is no https address")
	case len(c.Targets) == 0 || len(c.Targets) > targetsMax:
		return fmt.Errorf("alerts: there are %d targets; 1 to %d are possible", len(c.Targets), targetsMax)
	case c.Every != 0 && (c.every() < everyMin || c.every() > everyMax):
		return fmt.Errorf("alerts: every_seconds is %d to %d", int(everyMin/time.Second), int(everyMax/time.Second))
	case c.Heartbeat != nil && (*c.Heartbeat < 0 || *c.Heartbeat > 1440):
		return errors.New("alerts: heartbeat_minutes is 0 to 1440")
	}
	seen := make(map[string]bool)
	for i := range c.Targets {
		t := &c.Targets[i]
		if !targetName(t.Name) || seen[t.Name] {
			return fmt.Errorf("alerts: target %d: a name of its own in small letters, digits and dashes, please", i+1)
		}
		seen[t.Name] = true
		if err := t.check(); err != nil {
			return fmt.Errorf("alerts: target %s: %w", t.Name, err)
		}
	}
	return nil
}

func targetName(text string) bool {
	for i := range len(text) {
		if b := text[i]; b-'0' >= 10 && b-'a' >= 26 && b != '-' {
			return false
		}
	}
	return text != "" && len(text) <= 32
}

func (c *Config) every() time.Duration {
	if c.Every == 0 {
		return 5 * time.Second
	}
	return time.Duration(c.Every) * time.Second
}

func (c *Config) heartbeat() time.Duration {
	if c.Heartbeat == nil {
		return time.Hour
	}
	return time.Duration(*c.Heartbeat) * time.Minute
}

// check holds a target against its kind: what belongs to another is refused.
func (t *Target) check() error {
	web := []string{t.URL, t.Secret, t.Key}
	log := []string{t.Certificate, t.CertificateKey, t.Host}
	post := []string{t.TLS, t.Account, t.Password, t.From, strings.Join(t.To, "")}
	foreign := map[string][]string{"webhook": slices.Concat(log, post, []string{t.Address}), "syslog": slices.Concat(web, post), "mail": slices.Concat(web, log)}
	other, known := foreign[t.Kind]
	if !known {
		return errors.New("kind is webhook, syslog or mail")
	}
	if slices.ContainsFunc(other, func(s string) bool { return s != "" }) {
		return fmt.Errorf("it has a field that a %s does not have", t.Kind)
	}
	switch t.Kind {
	case "webhook":
		origin, ok := deliver.Origin(t.URL)
		if !ok || !deliver.CheckOrigin(origin) || strings.HasPrefix(origin, "http:") && !t.Inside {
			return errors.New("url is no https address (http at a loopback address, with inside, for trying)")
		}
		if t.Secret == "" && t.Key == "" {
			return errors.New("neither secret_file nor key_file: nothing to sign with")
		}
		return nil
	case "syslog":
		if (t.Certificate == "") != (t.CertificateKey == "") || !alert.Host(t.Host) {
			return errors.New("certificate_file and certificate_key_file go together; host is one word")
		}
	case "mail":
		switch {
		case t.TLS != "" && t.TLS != "starttls" && t.TLS != "implicit":
			return errors.New("tls is starttls or implicit")
		case !alert.Address(t.From) || len(t.To) == 0 || len(t.To) > receiversMax || slices.ContainsFunc(t.To, func(a string) bool { return !alert.Address(a) }):
			return errors.New("from and to are plain addresses, 1 to 16 of them")
		case (t.Account == "") != (t.Password == ""):
			return errors.New("account and password_file go together")
		}
	}
	if host, port, err := net.SplitHostPort(t.Address); err != nil || host == "" || port == "" {
		return errors.New("address is host:port")
	}
	return nil
}

// secret reads a file that nobody else may read.
func secret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", errors.New("a secret's file cannot be read")
	}
	if info.Mode().Perm()&0o077 != 0 || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: others may read this secret; chmod 600", filepath.Base(path))
	}
	text, err := readSmall(path, secretBytesMax)
	if err != nil {
		return "", errors.New("a secret's file cannot be read")
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// secure is the TLS configuration of a target.
func (t *Target) secure() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		text, err := readSmall(t.CA, 1<<20)
		if err != nil {
			return nil, errors.New("ca_file cannot be read")
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("ca_file has no certificate")
		}
	}
	if t.Certificate == "" {
		return c, nil
	}
	if _, err := secret(t.CertificateKey); err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(t.Certificate, t.CertificateKey)
	if err != nil {
		return nil, errors.New("certificate_file and certificate_key_file are no pair")
	}
	c.Certificates = []tls.Certificate{own}
	return c, nil
}

func (t *Target) reach() deliver.Reach {
	if t.Inside {
		return deliver.Inside
	}
	return deliver.Public
}

// open makes ready what a target is told with: secrets read, keys parsed.
func (t *Target) open(link string) (receiver, error) {
	secured, err := t.secure()
	if err != nil {
		return nil, err
	}
	switch t.Kind {
	case "webhook":
		w := &webhook{url: t.URL, link: link, client: deliver.NewClient(t.reach(), secured), header: http.Header{"Content-Type": {"application/json"}}}
		for file, take := range map[string]func(string) error{t.Secret: w.signer.Shared, t.Key: w.signer.Private} {
			if file == "" {
				continue
			}
			text, err := secret(file)
			if err == nil {
				err = take(text)
			}
			if err != nil {
				return nil, err
			}
		}
		return w, nil
	case "syslog":
		return &syslog{reach: t.reach(), address: t.Address, tls: secured, host: t.Host, link: link}, nil
	}
	o := deliver.Office{Reach: t.reach(), Address: t.Address, Implicit: t.TLS == "implicit", TLS: secured, Account: t.Account}
	if t.Password != "" {
		if o.Password, err = secret(t.Password); err != nil {
			return nil, err
		}
	}
	return &mail{office: o, from: t.From, to: t.To, link: link}, nil
}
