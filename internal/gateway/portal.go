package gateway

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/web"
)

// portalRoutes are the pages for people and what they ask of the gateway: a
// relay to the keepers and a lodger of ciphertext (docs/protocol/gateway.md).
func portalRoutes() []route {
	page := func(pattern string) route {
		return route{method: http.MethodGet, pattern: pattern, policy: open, body: noBody, native: true, handle: (*Gateway).webPage}
	}
	return []route{
		page("/enrol"), page("/sign-in"), page("/unlock"), page("/recover"), page("/help"), page("/staff"), page("/held"),
		{method: http.MethodGet, pattern: "/web/{id}", policy: open, body: noBody, native: true, handle: (*Gateway).webAsset},
		{method: http.MethodGet, pattern: "/portal/clinic", policy: open, body: noBody, handle: (*Gateway).clinic},
		{method: http.MethodGet, pattern: "/portal/box/{id}", policy: open, body: noBody, handle: (*Gateway).boxOf},
		{method: http.MethodPost, pattern: "/portal/attest", policy: open, body: loginBody, bodyMax: attestBodyMax, handle: (*Gateway).attest},
		{method: http.MethodPost, pattern: "/portal/enrol", policy: open, body: loginBody, bodyMax: enrolBodyMax, handle: (*Gateway).enrol},
		{method: http.MethodPost, pattern: "/portal/device", policy: open, body: loginBody, bodyMax: stepUpBodyMax, handle: (*Gateway).enrolDevice},
		{method: http.MethodGet, pattern: "/portal/wrap/{id}", policy: open, body: noBody, handle: (*Gateway).wrapOf},
		{method: http.MethodPost, pattern: "/portal/events", policy: open, body: loginBody, bodyMax: enrolBodyMax, handle: (*Gateway).relay},
		{method: http.MethodGet, pattern: "/portal/way/{id}", policy: open, body: noBody, handle: (*Gateway).wayIn},
		{method: http.MethodGet, pattern: "/portal/helper/{id}", policy: open, body: noBody, handle: (*Gateway).originOf},
		{method: http.MethodPost, pattern: "/portal/plea", policy: open, body: loginBody, bodyMax: stepUpBodyMax, handle: (*Gateway).plead},
		{method: http.MethodGet, pattern: "/portal/plea/{id}", policy: open, body: noBody, handle: (*Gateway).plea},
		{method: http.MethodPost, pattern: "/portal/help", policy: open, body: loginBody, bodyMax: stepUpBodyMax, handle: (*Gateway).help},
		{method: http.MethodPost, pattern: "/portal/unseal", policy: bySession, body: loginBody, bodyMax: stepUpBodyMax, handle: (*Gateway).unseal},
		{method: http.MethodPost, pattern: "/portal/wrap", policy: bySession, body: loginBody, bodyMax: stepUpBodyMax, handle: (*Gateway).keepWrap},
		{method: http.MethodGet, pattern: "/portal/me", policy: bySession, body: noBody, handle: (*Gateway).me},
		{method: http.MethodPost, pattern: "/portal/step-up", policy: bySession, body: loginBody, bodyMax: stepUpBodyMax, handle: (*Gateway).stepUp},
		{method: http.MethodGet, pattern: "/portal/held/{id}", policy: open, body: noBody, handle: (*Gateway).held},
		{method: http.MethodPost, pattern: "/portal/held/touch", policy: open, body: loginBody, bodyMax: stepUpBodyMax, handle: (*Gateway).heldTouch},
		{method: http.MethodPost, pattern: "/portal/held/ask", policy: open, body: loginBody, bodyMax: offerBodyMax, handle: (*Gateway).askSecond},
		{method: http.MethodGet, pattern: "/portal/second", policy: bySession, body: noBody, handle: (*Gateway).secondAsked},
		{method: http.MethodPost, pattern: "/portal/second", policy: bySession, body: loginBody, bodyMax: stepUpBodyMax, handle: (*Gateway).secondAgrees},
	}
}

// portalHeader lets the pages load their own script and style, speak to this
// gateway, use passkeys, and nothing else; no text becomes markup or code.
func portalHeader() http.Header {
	return http.Header{
		"Content-Security-Policy": {"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; " +
			"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy": {"publickey-credentials-create=(self), publickey-credentials-get=(self), " +
			"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
	}
}

func (g *Gateway) webPage(context.Context, *call) (*answer, error) {
	return &answer{status: http.StatusOK, content: contentHTML, header: portalHeader(), body: web.Page()}, nil
}

func (g *Gateway) webAsset(_ context.Context, c *call) (*answer, error) {
	body, media, ok := web.Asset(c.id)
	if !ok {
		return nil, refusal(http.StatusNotFound, "not-found", "there is no such path here; see /metadata for what is")
	}
	return &answer{status: http.StatusOK, content: media, header: portalHeader(), body: body}, nil
}

// clinicSeen is GET /portal/clinic: what an inception here is made of.
type clinicSeen struct {
	Set          string         `json:"set"`          // act1...
	Organisation string         `json:"organisation"` // act1...
	Box          string         `json:"box"`          // base64url: deposit grants are sealed to it
	RPID         string         `json:"rpId"`
	Origins      []string       `json:"origins"`
	Categories   []categorySeen `json:"categories"`
	Keepers      []keeperSeen   `json:"keepers"`   // half of a kit is shared over them
	Threshold    uint8          `json:"threshold"` // how many shares give it
	Wait         int64          `json:"wait"`      // seconds that a recovery waits at least
	Roles        []string       `json:"roles"`     // in which people may look at records
}

type keeperSeen struct {
	X   uint8  `json:"x"`
	Box string `json:"box"` // base64url
}

type categorySeen struct {
	Name  string `json:"name"`
	ID    string `json:"id"` // hex
	Level uint8  `json:"level"`
}

func (g *Gateway) clinic(ctx context.Context, _ *call) (*answer, error) {
	org, err := g.network.Log(ctx, g.org)
	if err != nil {
		return nil, err
	}
	box, err := org.Box()
	if err != nil {
		return nil, err
	}
	out := clinicSeen{Set: g.set.ID().String(), Organisation: g.org.String(), Box: login.Encode(box.Bytes()),
		RPID: g.set.RelyingParty.ID, Origins: g.set.RelyingParty.Origins}
	for _, c := range fhir.Categories() {
		id := c.ID()
		out.Categories = append(out.Categories, categorySeen{Name: c.String(), ID: hex.EncodeToString(id[:]), Level: c.Level()})
	}
	_, _, out.Threshold, _ = g.set.Shape()
	out.Wait = int64(g.set.RecoveryWait() / time.Second)
	for _, r := range abaton.Roles() {
		if r.Reads && r.Human {
			out.Roles = append(out.Roles, r.Name)
		}
	}
	for _, k := range g.set.Keepers {
		out.Keepers = append(out.Keepers, keeperSeen{X: uint8(k.X), Box: login.Encode(k.Box)})
	}
	return jsonAnswer(out)
}

// boxOf answers GET /portal/box/{id}: the box of a clinician of this
// organisation, for a first grant.
func (g *Gateway) boxOf(ctx context.Context, c *call) (*answer, error) {
	id, err := abaton.ParseActorID(c.id)
	if err != nil {
		return nil, absent()
	}
	st, err := g.network.Log(ctx, id)
	if err != nil {
		return nil, err
	}
	box, err := st.Box()
	if err != nil || st.Kind() != actor.Clinician || st.Organisation() != g.org {
		return nil, absent()
	}
	return jsonAnswer(struct {
		Box string `json:"box"`
	}{login.Encode(box.Bytes())})
}
