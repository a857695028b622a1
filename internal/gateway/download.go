package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

// readBinary answers GET /Binary/[id]: the content itself, unless FHIR JSON is
// asked for by name (R4, section 2.24).
func (g *Gateway) readBinary(ctx context.Context, c *call) (*answer, error) {
	chart, err := g.locate(ctx, c.person, c, "Binary", c.id)
	if err != nil {
		return nil, err
	}
	v, forked, err := chart.find("Binary", c.id)
	if err != nil {
		return nil, err
	}
	if forked {
		c.native.w.Header().Set("Warning", `199 - "`+forkWarning+`"`)
	}
	return g.showBinary(ctx, c, chart, v)
}

// vreadBinary answers GET /Binary/[id]/_history/[version].
func (g *Gateway) vreadBinary(ctx context.Context, c *call) (*answer, error) {
	chart, err := g.locate(ctx, c.person, c, "Binary", c.id)
	if err != nil {
		return nil, err
	}
	v, ok := chart.version("Binary", c.id, c.version)
	if !ok {
		return nil, absent()
	}
	if v.Deleted {
		return nil, gone()
	}
	return g.showBinary(ctx, c, chart, v)
}

// source is content that can be given from any place on.
type source struct {
	content string // media type
	about   string
	size    int64
	digest  string // Repr-Digest, RFC 9530; empty: not known
	copy    func(ctx context.Context, w io.Writer, offset, length int64) error
}

func (g *Gateway) showBinary(ctx context.Context, c *call, chart *chart, v fhir.Version) (*answer, error) {
	c.kind = "Binary"
	object := chart.object(v.VersionID)
	asJSON := c.native.wantsJSON()
	if asJSON && object == nil {
		if err := c.accept(c.native.r); err != nil {
			return nil, err
		}
		return c.show(v)
	}
	src, err := g.sourceOf(c, chart, v, object)
	if err != nil {
		return nil, err
	}
	switch {
	case asJSON:
		return g.giveJSON(ctx, c, v, src)
	case !c.native.accepts(src.content):
		return nil, refusal(http.StatusNotAcceptable, "not-supported", "the content is of another type; ask for */* or application/fhir+json")
	}
	return g.give(ctx, c, v, src)
}

func (g *Gateway) sourceOf(c *call, chart *chart, v fhir.Version, object *largeObject) (*source, error) {
	if object == nil {
		return inlineSource(v)
	}
	ask, ok := chart.askFor(object.envelope.Line)
	if !ok {
		return nil, absent()
	}
	o, err := c.person.reader.Object(ask, object.envelope, object.content)
	if err != nil {
		return nil, err
	}
	m := o.Manifest()
	return &source{content: m.Content, about: m.About, size: o.Size(), digest: "sha-256=:" + base64.StdEncoding.EncodeToString(m.Sum[:]) + ":",
		copy: func(ctx context.Context, w io.Writer, offset, length int64) error {
			_, err := o.Copy(ctx, w, offset, length)
			g.noteFaults(ctx, o.Faults())
			return err
		}}, nil
}

// inlineSource is the data of a Binary that came as JSON.
func inlineSource(v fhir.Version) (*source, error) {
	var b struct {
		ContentType     string
		SecurityContext struct{ Reference string }
		Data            []byte
	}
	if err := json.Unmarshal(v.Body, &b); err != nil {
		return nil, refusal(http.StatusNotAcceptable, "not-supported", "this Binary's data is not base64; ask for application/fhir+json")
	}
	if !seal.IsMediaType(b.ContentType) {
		b.ContentType = "application/octet-stream"
	}
	return &source{content: b.ContentType, size: int64(len(b.Data)), copy: func(_ context.Context, w io.Writer, offset, length int64) error {
		_, err := w.Write(b.Data[offset : offset+length])
		return err
	}}, nil
}

// wantsJSON reports whether FHIR JSON is asked for by name.
func (n *native) wantsJSON() bool {
	if format := n.r.URL.Query().Get("_format"); format != "" {
		return jsonMedia(strings.ReplaceAll(format, " ", "+"))
	}
	for part := range strings.SplitSeq(strings.Join(n.r.Header.Values("Accept"), ","), ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.Contains(media, "*") && jsonMedia(media) {
			return true
		}
	}
	return false
}

// accepts reports whether a type is among those accepted.
func (n *native) accepts(content string) bool {
	all := strings.Join(n.r.Header.Values("Accept"), ",")
	if all == "" {
		return true
	}
	media, _, _ := mime.ParseMediaType(content)
	group, _, _ := strings.Cut(media, "/")
	for part := range strings.SplitSeq(all, ",") {
		want, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		want = strings.ToLower(strings.TrimSpace(want))
		if strings.ReplaceAll(params, " ", "") != "q=0" && (want == "*/*" || want == group+"/*" || want == media) {
			return true
		}
	}
	return false
}

// give writes content in its own type. Versions never change, so their ids
// serve as strong tags.
func (g *Gateway) give(ctx context.Context, c *call, v fhir.Version, src *source) (*answer, error) {
	tag := `"` + v.VersionID + `"`
	a := &answer{status: http.StatusOK, etag: tag, modified: v.LastUpdated}
	if have, err := etagsOf(c.ifNoneMatch); err == nil && slices.Contains(have, v.VersionID) {
		a.status = http.StatusNotModified
		return a, nil
	}
	h := c.native.w.Header()
	h.Set("Accept-Ranges", "bytes")
	at, err := rangeOf(c.native.r.Header, tag, v.LastUpdated, src.size)
	if err != nil {
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(src.size, 10))
		return nil, err
	}
	status := http.StatusOK
	if at.partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at.offset, at.offset+at.length-1, src.size))
	}
	h.Set("Content-Type", src.content)
	h.Set("Content-Length", strconv.FormatInt(at.length, 10))
	h.Set("ETag", tag)
	h.Set("Last-Modified", v.LastUpdated.UTC().Format(http.TimeFormat))
	h.Set("Content-Disposition", "attachment") // a browser shows nothing of it in this origin
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if src.digest != "" {
		h.Set("Repr-Digest", src.digest)
	}
	if src.about != "" {
		h.Set(headerContext, src.about)
	}
	return g.send(ctx, c, status, func(ctx context.Context, w io.Writer) error {
		if at.length == 0 {
			_, err := w.Write(nil)
			return err
		}
		return src.copy(ctx, w, at.offset, at.length)
	})
}

// send streams an answer. What goes wrong before its first byte is an outcome;
// afterwards the connection breaks.
func (g *Gateway) send(ctx context.Context, c *call, status int, write func(context.Context, io.Writer) error) (*answer, error) {
	if c.method == http.MethodHead {
		c.native.w.WriteHeader(status)
		return &answer{status: status, sent: true}, nil
	}
	ctx, _, done, err := g.stream(ctx, c.native)
	if err != nil {
		return nil, err
	}
	defer done()
	out := &outgoing{n: c.native, status: status, stall: stallTime}
	err = write(ctx, out)
	if err != nil && !out.begun {
		clearContent(c.native.w.Header())
		return nil, partRefusal(err)
	}
	if err != nil {
		g.log.WarnContext(ctx, "object broken off", "error", err.Error())
	}
	if e := out.end(); err == nil {
		err = e
	}
	return &answer{status: status, sent: true, cut: err != nil}, nil
}

// clearContent takes back the headers of content that will not come.
func clearContent(h http.Header) {
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Range", "Content-Disposition", "Content-Security-Policy",
		"Accept-Ranges", "ETag", "Last-Modified", "Repr-Digest", headerContext} {
		h.Del(name)
	}
}

// partRefusal says that a part of what is there cannot be read.
func partRefusal(err error) error {
	part, ok := errors.AsType[*client.PartError](err)
	if !ok {
		return err
	}
	return partTrouble(part, outcomeOf(partCause(part)))
}

// partCause is why, in words for a client.
func partCause(part *client.PartError) error {
	if errors.Is(part.Err, seal.ErrFaulty) {
		return refusal(http.StatusBadGateway, "exception", "it does not hold what its writer signed for; ask the writer to send the object again")
	}
	return part.Err
}

// partTrouble is an outcome that names the part.
func partTrouble(part *client.PartError, o *fhir.OutcomeError) error {
	return refusal(o.Status, o.Code, fmt.Sprintf("part %d of %d: %s", part.Part+1, part.Of, o.Diagnostics))
}

// span is what of the content is asked for.
type span struct {
	offset, length int64
	partial        bool
}

// rangeOf reads Range and If-Range (RFC 9110, section 14). One range is
// answered; a list of them is answered with the whole, as it may be.
func rangeOf(h http.Header, tag string, modified time.Time, size int64) (span, error) {
	all := span{length: size}
	text, ok := strings.CutPrefix(h.Get("Range"), "bytes=")
	if !ok || strings.Contains(text, ",") || !sameVersion(h.Get("If-Range"), tag, modified) {
		return all, nil
	}
	from, to, ok := strings.Cut(strings.TrimSpace(text), "-")
	first, err1 := position(from)
	last, err2 := position(to)
	switch {
	case !ok || err1 != nil || err2 != nil || from == "" && to == "" || from != "" && to != "" && first > last:
		return all, nil // not a range: passed over
	case from == "" && last > 0 && size > 0:
		length := min(last, size)
		return span{size - length, length, true}, nil
	case from == "" || first >= size:
		return all, refusal(http.StatusRequestedRangeNotSatisfiable, "value", "the range begins behind the end; see Content-Range for the length")
	case to == "" || last >= size:
		last = size - 1
	}
	return span{first, last - first + 1, true}, nil
}

func position(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if text[0] < '0' || text[0] > '9' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(text, 10, 64)
}

// sameVersion: a range goes with the version that If-Range names, if it names
// one.
func sameVersion(text, tag string, modified time.Time) bool {
	if text == "" || text == tag {
		return true
	}
	t, err := http.ParseTime(text)
	return err == nil && t.Equal(modified.UTC().Truncate(time.Second))
}

// giveJSON writes a large object as FHIR JSON, its data in base64, as it comes.
func (g *Gateway) giveJSON(ctx context.Context, c *call, v fhir.Version, src *source) (*answer, error) {
	if src.size > objectJSONMax {
		return nil, refusal(http.StatusNotAcceptable, "too-costly", "the content is too large for JSON; ask for its own type (Accept: */*), in ranges if you like")
	}
	text, err := render(fhir.Version{ID: v.ID, VersionID: v.VersionID, LastUpdated: v.LastUpdated, Body: fhir.BinaryWith(v.ID, src.content, src.about, "@@")})
	if err != nil {
		return nil, err
	}
	before, after, ok := bytes.Cut(text, []byte(contentMark))
	if !ok {
		panic("gateway: a stub holds its mark")
	}
	before = append(before[:len(before):len(before)], `"data":"`...)
	h := c.native.w.Header()
	h.Set("Content-Type", contentFHIR)
	h.Set("ETag", fhir.ETag(v.VersionID))
	h.Set("Last-Modified", v.LastUpdated.UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(before)+base64.StdEncoding.EncodedLen(int(src.size))+len(after)))
	return g.send(ctx, c, http.StatusOK, func(ctx context.Context, w io.Writer) error {
		encoded := base64.NewEncoder(base64.StdEncoding, &late{w: w, before: before})
		if err := src.copy(ctx, encoded, 0, src.size); err != nil {
			return err
		}
		if err := encoded.Close(); err != nil {
			return err
		}
		_, err := w.Write(after)
		return err
	})
}

// late writes before with the first bytes, so that nothing goes out until there
// is something.
type late struct {
	w      io.Writer
	before []byte
}

// Write writes on.
func (l *late) Write(p []byte) (int, error) {
	if l.before != nil {
		if _, err := l.w.Write(l.before); err != nil {
			return 0, err
		}
		l.before = nil
	}
	return l.w.Write(p)
}

// contentMark stands where data comes. Inside another value its quotes would be
// escaped.
const contentMark = `"data":"@@`
