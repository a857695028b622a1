package courier

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/alert"
	"github.com/abaton-health/abaton/internal/deliver"
)

// receiver is one target. Send is one try to give it one message: nil when it took
// it, and then perhaps another time as well. It is not called by two at once.
type receiver interface {
	send(ctx context.Context, organisation abaton.ActorID, m *message, now time.Time) error
}

type webhook struct {
	url, link string
	client    *http.Client
	header    http.Header
	signer    alert.Signer
}

func (w *webhook) send(ctx context.Context, organisation abaton.ActorID, m *message, now time.Time) error {
	body := m.Alert.Webhook(organisation, w.link)
	header := w.header.Clone()
	for name, value := range w.signer.Sign(m.Alert.ID, now, body) {
		header.Set(name, value)
	}
	return deliver.Post(ctx, w.client, w.url, header, body)
}

type syslog struct {
	reach               deliver.Reach
	address, host, link string
	tls                 *tls.Config
}

func (s *syslog) send(ctx context.Context, organisation abaton.ActorID, m *message, _ time.Time) error {
	return deliver.Stream(ctx, s.reach, s.address, s.tls, alert.Frame(m.Alert.Syslog(organisation, s.host, s.link)))
}

type mail struct {
	office     deliver.Office
	from, link string
	to         []string
}

func (p *mail) send(ctx context.Context, _ abaton.ActorID, m *message, now time.Time) error {
	letter := alert.Letter{ID: m.Alert.ID, From: p.from, To: p.to, Link: p.link, Time: now}
	return p.office.Mail(ctx, p.from, p.to, m.Sum.Mail(&letter))
}
