package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Resumable uploads follow draft-ietf-httpbis-resumable-upload in headers and
// statuses; docs/protocol/gateway.md#gateway-upload says where they are
// narrower.
const (
	headerOffset   = "Upload-Offset"
	headerComplete = "Upload-Complete"
	headerLength   = "Upload-Length"
	headerLimit    = "Upload-Limit"
	contentPartial = "application/partial-upload"
	whole, notYet  = "?1", "?0" // RFC 9651 booleans
)

// beginUpload answers POST /Binary/$upload: it decides whether the content may
// be written at all, and gives the upload a name. No content comes yet.
func (g *Gateway) beginUpload(ctx context.Context, c *call) (*answer, error) {
	if c.native.r.ContentLength > 0 || c.native.r.ContentLength < 0 && hasBytes(c.native.r.Body) {
		return nil, refusal(http.StatusBadRequest, "invalid", "begin the upload without content, and send that to its Location with PATCH")
	}
	total, err := c.native.number(headerLength, 0)
	if err != nil {
		return nil, err
	}
	if total > g.objectMax {
		return nil, g.objectTooLarge()
	}
	b, err := g.admitBinary(ctx, c)
	if err != nil {
		return nil, err
	}
	u := g.writer.NewUpload(b.home, b.line, "Binary", b.id, c.person.actor, g.objectMax)
	name, err := g.uploads.create(uploadHead{V: wire.Version, Owner: c.person.actor, Patient: b.home, Line: b.line, ID: b.id, Name: u.Name,
		Content: b.content, About: b.about, Least: b.least, Part: uint64(u.PartBytes), Total: uint64(total)})
	if err != nil {
		return nil, g.notKept(ctx, err)
	}
	h := c.native.w.Header()
	h.Set(headerLimit, g.uploadLimit())
	h.Set(headerOffset, "0")
	h.Set(headerComplete, notYet)
	return &answer{status: http.StatusCreated, location: c.base + "/Binary/$upload/" + name}, nil
}

// uploadLimit: bytes, and seconds without a request.
func (g *Gateway) uploadLimit() string {
	return "max-size=" + strconv.FormatInt(g.objectMax, 10) + ", max-age=" + strconv.Itoa(int(uploadLife.Seconds()))
}

func (n *native) number(header string, missing int64) (int64, error) {
	text := n.r.Header.Get(header)
	if text == "" {
		return missing, nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 || strings.HasPrefix(text, "+") {
		return 0, refusal(http.StatusBadRequest, "value", "Upload-Offset and Upload-Length are numbers of bytes; correct them")
	}
	return v, nil
}

// at claims an upload of this person and reads its state. close must be called
// in the end. Another person's is not there.
func (g *Gateway) at(c *call, end func()) (up *upload, closeAll func(), err error) {
	free := g.uploads.claim(c.id, end)
	up, err = g.uploads.open(c.id)
	if err == nil && up.head.Owner != c.person.actor {
		err = errors.Join(up.file.Close(), abaton.ErrNotFound)
	}
	if err != nil {
		free()
		return nil, nil, err
	}
	up.BytesMax = g.objectMax
	return up, func() { up.file.Close(); free() }, nil
}

// notKept says why an upload's state could not be kept.
func (g *Gateway) notKept(ctx context.Context, err error) error {
	if errors.Is(err, errUploads) {
		return g.notTaken(ctx, err)
	}
	return err
}

// stands sets what every answer about an upload says.
func (g *Gateway) stands(c *call, up *upload) {
	h := c.native.w.Header()
	h.Set(headerOffset, strconv.FormatInt(up.Bytes, 10))
	h.Set(headerComplete, notYet)
	h.Set(headerLimit, g.uploadLimit())
	if up.head.Total > 0 {
		h.Set(headerLength, strconv.FormatUint(up.head.Total, 10))
	}
	if up.version != "" {
		h.Set(headerComplete, whole)
	}
}

// uploadState answers HEAD: how much is durable. What was under way is broken
// off first, so that the offset stays true.
func (g *Gateway) uploadState(ctx context.Context, c *call) (*answer, error) {
	up, done, err := g.at(c, func() {})
	if err != nil {
		return nil, g.notKept(ctx, err)
	}
	defer done()
	g.stands(c, up)
	a := &answer{status: http.StatusNoContent}
	if up.version != "" {
		a.location = c.base + "/Binary/" + up.head.ID + "/_history/" + up.version
	}
	return a, nil
}

// goOnUpload answers PATCH: more content, from the offset on.
func (g *Gateway) goOnUpload(ctx context.Context, c *call) (*answer, error) {
	ctx, end, over, err := g.stream(ctx, c.native)
	if err != nil {
		return nil, err
	}
	defer over()
	up, done, err := g.at(c, end)
	if err != nil {
		return nil, g.notKept(ctx, err)
	}
	defer done()
	defer g.stands(c, up)
	last, err := c.native.fits(up)
	if err != nil {
		return nil, err
	}
	b := up.arrival()
	// Access may have ended since the upload began.
	_, _, release, err := g.planBinary(ctx, asCreate(c), b)
	if err != nil {
		return nil, err
	}
	release()
	if err := g.writer.PutParts(ctx, up.Upload, newIncoming(ctx, c.native), last, up.noted); err != nil {
		return nil, g.notTaken(ctx, err)
	}
	if !last {
		return &answer{status: http.StatusNoContent}, nil
	}
	if up.head.Total > 0 && uint64(up.Bytes) != up.head.Total {
		return nil, refusal(http.StatusBadRequest, "incomplete", "the content is not as long as Upload-Length said; go on from Upload-Offset, or begin anew")
	}
	return g.endUpload(ctx, c, b, up)
}

// endUpload names the object and remembers how it ended, for a client that
// does not get the answer.
func (g *Gateway) endUpload(ctx context.Context, c *call, b *arrival, up *upload) (*answer, error) {
	a, version, err := g.nameBinary(ctx, asCreate(c), b, up.Upload)
	if err != nil {
		return nil, err
	}
	up.version = version
	if err := up.append(uploadStep{Version: version}); err != nil {
		g.log.ErrorContext(ctx, "end of an upload not stored", "error", err.Error())
	}
	return a, nil
}

// asCreate is a call that plans like the POST that began the upload.
func asCreate(c *call) *call {
	as := *c
	as.method, as.kind, as.id = http.MethodPost, "Binary", ""
	return &as
}

// fits holds a PATCH against the upload; last: the content ends with it.
func (n *native) fits(up *upload) (last bool, err error) {
	h := n.r.Header
	if h.Get("Content-Type") != contentPartial || h.Get("Content-Encoding") != "" {
		return false, refusal(http.StatusUnsupportedMediaType, "not-supported", "send more content as application/partial-upload")
	}
	offset, err := n.number(headerOffset, -1)
	if err != nil {
		return false, err
	}
	switch complete := h.Get(headerComplete); {
	case up.version != "":
		return false, refusal(http.StatusConflict, "duplicate", "this upload is complete; its HEAD tells where it lies")
	case offset < 0 || complete != whole && complete != notYet:
		return false, refusal(http.StatusBadRequest, "required", "say Upload-Offset and Upload-Complete (?0 or ?1)")
	case offset != up.Bytes:
		return false, refusal(http.StatusConflict, "conflict", "the offset is not where the upload stands; go on from Upload-Offset of this answer")
	case n.r.ContentLength > up.BytesMax-offset:
		return false, refusal(http.StatusRequestEntityTooLarge, "too-long", "the object is over the limit of this gateway; ask its operator, or split it")
	}
	return h.Get(headerComplete) == whole, nil
}

// arrival is what was said when the upload began.
func (up *upload) arrival() *arrival {
	h := &up.head
	return &arrival{id: h.ID, content: h.Content, about: h.About, least: h.Least, total: -1, line: h.Line, home: h.Patient}
}

// dropUpload answers DELETE: the upload is forgotten. Its parts stay at the
// keepers, named by nothing, until the patient erases them.
func (g *Gateway) dropUpload(ctx context.Context, c *call) (*answer, error) {
	_, done, err := g.at(c, func() {})
	if err != nil {
		return nil, g.notKept(ctx, err)
	}
	defer done()
	if err := g.uploads.remove(c.id); err != nil {
		return nil, g.notKept(ctx, err)
	}
	return &answer{status: http.StatusNoContent}, nil
}
