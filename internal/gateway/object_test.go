package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// content is the caller who sends content of this type about the patient.
func (k *clinic) content(media string) *caller {
	return k.c.with("Content-Type", media).with(headerContext, "Patient/"+k.id)
}

// putBinary creates a Binary from its content.
func (k *clinic) putBinary(media string, content []byte) (path string, created *http.Response) {
	k.t.Helper()
	resp, _ := k.content(media).want(http.StatusCreated, "POST", "/Binary", string(content), nil)
	return "/Binary/" + idOf(resp), resp
}

func TestBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	content := randomBytes(2*client.PartBytes + 77)
	path, created := k.putBinary("application/dicom", content)
	version := strings.Trim(strings.TrimPrefix(created.Header.Get("ETag"), "W/"), `"`)
	resp, got := k.c.want(http.StatusOK, "GET", path, "", nil)
	if !bytes.Equal(got, content) {
		t.Fatalf("read: got %d bytes, want the very %d", len(got), len(content))
	}
	sum := sha256.Sum256(content)
	for name, want := range map[string]string{
		"Content-Type": "application/dicom", "Content-Length": strconv.Itoa(len(content)), "ETag": `"` + version + `"`,
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox", "Content-Disposition": "attachment",
		"Accept-Ranges": "bytes", "X-Security-Context": "Patient/" + k.id, "Repr-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
	} {
		if resp.Header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, resp.Header.Get(name), want)
		}
	}
	if resp, got := k.c.want(http.StatusOK, "HEAD", path, "", nil); len(got) != 0 || resp.ContentLength != int64(len(content)) {
		t.Errorf("head: got %d bytes, length %d", len(got), resp.ContentLength)
	}
	k.c.with("If-None-Match", `"`+version+`"`).want(http.StatusNotModified, "GET", path, "", nil)
	k.c.with("Accept", "image/png").want(http.StatusNotAcceptable, "GET", path, "", nil)
	k.c.with("Accept", "application/*").want(http.StatusOK, "GET", path, "", nil)

	var whole struct {
		ResourceType, ID, ContentType string
		Data                          []byte
		SecurityContext               struct{ Reference string }
		Meta                          struct{ VersionID string }
	}
	resp, _ = k.c.with("Accept", "application/fhir+json").want(http.StatusOK, "GET", path, "", &whole)
	if !bytes.Equal(whole.Data, content) || whole.ContentType != "application/dicom" || "/Binary/"+whole.ID != path ||
		whole.Meta.VersionID != version || whole.SecurityContext.Reference != "Patient/"+k.id || resp.Header.Get("ETag") != `W/"`+version+`"` {
		t.Errorf("as JSON: got %s %s with %d bytes", whole.ContentType, whole.ID, len(whole.Data))
	}
	// A list shows it without its data, and says so.
	shown := 0
	for _, r := range k.c.pages("/Patient/" + k.id + "/$everything") {
		if !bytes.Contains(r, []byte(`"Binary"`)) {
			continue
		}
		if shown++; !bytes.Contains(r, []byte("SUBSETTED")) || bytes.Contains(r, []byte(`"data"`)) {
			t.Errorf("everything: got %s, want a Binary without data that says so", r)
		}
	}
	if shown != 1 {
		t.Errorf("everything: got %d Binaries, want 1", shown)
	}

	// A new version; the old one stays, and a deletion leaves 410.
	k.content("text/plain").with("If-Match", `W/"`+version+`"`).want(http.StatusOK, "PUT", path, "new", nil)
	k.content("text/plain").with("If-Match", `W/"`+version+`"`).want(http.StatusPreconditionFailed, "PUT", path, "newer", nil)
	if _, got := k.c.want(http.StatusOK, "GET", path, "", nil); string(got) != "new" {
		t.Errorf("after the update: got %d bytes, want the new ones", len(got))
	}
	if _, got := k.c.want(http.StatusOK, "GET", path+"/_history/"+version, "", nil); !bytes.Equal(got, content) {
		t.Errorf("the first version: got %d bytes, want the very %d", len(got), len(content))
	}
	k.c.want(http.StatusNoContent, "DELETE", path, "", nil)
	k.c.want(http.StatusGone, "GET", path, "", nil)
	k.content("text/plain").want(http.StatusCreated, "PUT", "/Binary/of-my-own", "mine", nil)
	if _, got := k.c.want(http.StatusOK, "GET", "/Binary/of-my-own", "", nil); string(got) != "mine" {
		t.Errorf("an id of one's own: got %q", got)
	}
}

// TestBinaryInAnotherSession: what one session wrote another reads, and a chart
// with a large object in it opens no part of it.
func TestBinaryInAnotherSession(t *testing.T) {
	k := newClinic(t)
	content := randomBytes(3*client.PartBytes + 1)
	path, created := k.putBinary("image/png", content)
	k.c.want(http.StatusCreated, "POST", "/DocumentReference", `{"resourceType":"DocumentReference","status":"current","subject":{"reference":"Patient/`+k.id+
		`"},"content":[{"attachment":{"contentType":"image/png","url":"`+path[1:]+`"}}]}`, nil)
	other, directory := k.clinician()
	c := k.signIn(other, directory, k.share(k.patient, other, grant.Read, allCategories()...))
	var doc struct {
		Entry []struct {
			Resource struct {
				Content []struct{ Attachment struct{ URL string } }
			}
		}
	}
	c.want(http.StatusOK, "GET", "/DocumentReference?patient="+k.id, "", &doc)
	if len(doc.Entry) != 1 || "/"+doc.Entry[0].Resource.Content[0].Attachment.URL != path {
		t.Fatalf("document: got %+v, want the attachment at %s", doc, path)
	}
	for _, p := range k.gateway.sessionsNow() {
		for _, id := range p.openCharts() {
			if chart, _ := k.gateway.slot(p, id, ""); chart.heldBytes() > 1<<20 {
				t.Errorf("a chart holds %d bytes, want none of the object's", chart.heldBytes())
			}
		}
	}
	if _, got := c.want(http.StatusOK, "GET", path, "", nil); !bytes.Equal(got, content) {
		t.Errorf("read: got %d bytes, want the very %d", len(got), len(content))
	}
	if created.Header.Get("Location") == "" {
		t.Error("no Location")
	}
}

// TestBinaryAsJSON: a Binary that came as a resource is given in its own type
// too.
func TestBinaryAsJSON(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	body := `{"resourceType":"Binary","contentType":"text/plain","securityContext":{"reference":"Patient/` + k.id + `"},"data":"aGVsbG8gd29ybGQ="}`
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Binary", body, nil)
	path := "/Binary/" + idOf(resp)
	if resp, got := k.c.want(http.StatusOK, "GET", path, "", nil); string(got) != "hello world" || resp.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("in its own type: got %q as %s", got, resp.Header.Get("Content-Type"))
	}
	if resp, got := k.c.with("Range", "bytes=-5").want(http.StatusPartialContent, "GET", path, "", nil); string(got) != "world" || resp.Header.Get("Content-Range") != "bytes 6-10/11" {
		t.Errorf("a range: got %q, %s", got, resp.Header.Get("Content-Range"))
	}
	if _, got := k.c.with("Accept", "application/fhir+json").want(http.StatusOK, "GET", path, "", nil); !bytes.Contains(got, []byte(`"data":"aGVsbG8gd29ybGQ="`)) {
		t.Errorf("as JSON: got %s", got)
	}
	update := strings.Replace(body, `{`, `{"id":"`+path[len("/Binary/"):]+`",`, 1)
	k.c.want(http.StatusOK, "PUT", path, update, nil)
	hostile := strings.Replace(body, "text/plain", `text/html\r\nX: y`, 1)
	resp, _ = k.c.want(http.StatusCreated, "POST", "/Binary", hostile, nil)
	if resp, _ := k.c.want(http.StatusOK, "GET", "/Binary/"+idOf(resp), "", nil); resp.Header.Get("Content-Type") != "application/octet-stream" || resp.Header.Get("X") != "" {
		t.Errorf("a hostile type: got %v", resp.Header)
	}
}

func TestBinaryRanges(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	content := randomBytes(client.PartBytes + 1000)
	path, created := k.putBinary("video/mp4", content)
	tag := strings.TrimPrefix(created.Header.Get("ETag"), "W/")
	n := len(content)
	for _, c := range []struct {
		header      string
		status      int
		from, until int
	}{
		{"bytes=0-0", 206, 0, 1}, {"bytes=0-", 206, 0, n}, {"bytes=-1", 206, n - 1, n}, {"bytes=-9999999", 206, 0, n},
		{"bytes=" + strconv.Itoa(n-1) + "-", 206, n - 1, n}, {"bytes=" + strconv.Itoa(client.PartBytes-6) + "-" + strconv.Itoa(client.PartBytes+4), 206, client.PartBytes - 6, client.PartBytes + 5},
		{"bytes=5-99999999999", 206, 5, n}, {"bytes=" + strconv.Itoa(n) + "-", 416, 0, 0}, {"bytes=-0", 416, 0, 0},
		{"bytes=7-3", 200, 0, n}, {"bytes=a-b", 200, 0, n}, {"bytes=-", 200, 0, n}, {"bytes=0-1,5-6", 200, 0, n}, {"items=0-1", 200, 0, n},
		{"bytes=+1-2", 200, 0, n}, {"bytes=1", 200, 0, n}, {"bytes=0-99999999999999999999", 200, 0, n},
	} {
		resp, got := k.c.with("Range", c.header).want(c.status, "GET", path, "", nil)
		switch {
		case c.status == 416:
			if resp.Header.Get("Content-Range") != "bytes */"+strconv.Itoa(n) {
				t.Errorf("%s: got Content-Range %q", c.header, resp.Header.Get("Content-Range"))
			}
		case !bytes.Equal(got, content[c.from:c.until]):
			t.Errorf("%s: got %d bytes, want %d", c.header, len(got), c.until-c.from)
		case c.status == 206 && resp.Header.Get("Content-Range") != "bytes "+strconv.Itoa(c.from)+"-"+strconv.Itoa(c.until-1)+"/"+strconv.Itoa(n):
			t.Errorf("%s: got Content-Range %q", c.header, resp.Header.Get("Content-Range"))
		}
	}
	some := k.c.with("Range", "bytes=0-9")
	some.with("If-Range", tag).want(http.StatusPartialContent, "GET", path, "", nil)
	some.with("If-Range", `"other"`).want(http.StatusOK, "GET", path, "", nil)
	some.with("If-Range", "W/"+tag).want(http.StatusOK, "GET", path, "", nil)
	some.with("If-Range", created.Header.Get("Last-Modified")).want(http.StatusPartialContent, "GET", path, "", nil)
	some.with("If-Range", "Thu, 01 Jan 1970 00:00:00 GMT").want(http.StatusOK, "GET", path, "", nil)
}

func TestBinaryRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	pdf := k.content("application/pdf")
	k.c.with("Content-Type", "application/pdf").want(http.StatusUnprocessableEntity, "POST", "/Binary", "x", nil)
	pdf.with(headerContext, "Patient/nobody").want(http.StatusUnprocessableEntity, "POST", "/Binary", "x", nil)
	pdf.with(headerContext, "Organization/x").want(http.StatusNotFound, "POST", "/Binary", "x", nil)
	pdf.with(headerContext, "http://elsewhere/Patient/1").want(http.StatusUnprocessableEntity, "POST", "/Binary", "x", nil)
	pdf.with("Content-Encoding", "gzip").want(http.StatusUnsupportedMediaType, "POST", "/Binary", "x", nil)
	pdf.with("Content-Type", "multipart/form-data; boundary=x").want(http.StatusUnsupportedMediaType, "POST", "/Binary", "x", nil)
	pdf.with("Content-Type", "no type").want(http.StatusUnsupportedMediaType, "POST", "/Binary", "x", nil)
	pdf.with(headerCategory, "gossip").want(http.StatusBadRequest, "POST", "/Binary", "x", nil)
	pdf.with("If-None-Exist", "_id=1").want(http.StatusPreconditionFailed, "POST", "/Binary", "x", nil)
	pdf.want(http.StatusBadRequest, "POST", "/Binary", "", nil)
	resp, err := post(k, "/Binary", &zeros{n: 24<<20 + 1}, -1)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("over the limit, length not said: got %v, %v, want 413", resp, err)
	}
	resp, err = post(k, "/Binary", &zeros{n: 24<<20 + 1}, 24<<20+1)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("over the limit: got %v, %v, want 413", resp, err)
	}
	resp, err = post(k, "/Binary", &zeros{n: 17 << 20}, 17<<20)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("17 MiB: got %v, %v, want 201", resp, err)
	}
	_, got := k.c.with("Accept", "application/fhir+json").want(http.StatusNotAcceptable, "GET", "/Binary/"+idOf(resp), "", nil)
	if !bytes.Contains(got, []byte("Accept: */*")) {
		t.Errorf("too large for JSON: got %s, want the way", got)
	}
	stranger, directory := k.clinician()
	k.signIn(stranger, directory).want(http.StatusNotFound, "GET", "/Binary/"+idOf(resp), "", nil)
}

// zeros are n zero bytes.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.n)
	clear(p[:n])
	z.n -= n
	return int(n), nil
}

func post(k *clinic, path string, body io.Reader, length int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(k.t.Context(), "POST", k.web.URL+path, body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = length
	r.Header.Set("Authorization", "Bearer "+k.c.access)
	r.Header.Set("Content-Type", "application/pdf")
	r.Header.Set(headerContext, "Patient/"+k.id)
	resp, err := http.DefaultClient.Do(r)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// TestBinaryCategory: DICOM is imaging, what is said to be more sensitive is,
// and content about a resource is as sensitive as that.
func TestBinaryCategory(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.putBinary("application/dicom", []byte("x"))
	k.content("text/plain").with(headerCategory, "psychiatric").want(http.StatusCreated, "POST", "/Binary", "y", nil)
	k.content("application/dicom").with(headerCategory, "general").want(http.StatusCreated, "POST", "/Binary", "z", nil)
	resp, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(`,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]}`), nil)
	k.c.with("Content-Type", "text/plain").with(headerContext, "Observation/"+idOf(resp)).want(http.StatusCreated, "POST", "/Binary", "w", nil)
	got := make(map[fhir.Category]int)
	for _, p := range k.gateway.sessionsNow() {
		chart, _ := k.gateway.slot(p, k.patient.id, "")
		for _, o := range chart.objects {
			got[chart.categories[o.envelope.Line]]++
		}
	}
	if got[fhir.Imaging] != 2 || got[fhir.Psychiatric] != 1 || got[fhir.HIVSTI] != 1 {
		t.Errorf("categories: got %v, want 2 imaging, 1 psychiatric, 1 hiv-sti", got)
	}
}

// begin begins an upload and returns its path.
func (k *clinic) begin(media string, length int) string {
	k.t.Helper()
	resp, _ := k.content(media).with(headerLength, strconv.Itoa(length)).want(http.StatusCreated, "POST", "/Binary/$upload", "", nil)
	if resp.Header.Get(headerOffset) != "0" || resp.Header.Get(headerComplete) != "?0" || !strings.Contains(resp.Header.Get(headerLimit), "max-size=25165824") {
		k.t.Errorf("begin: got %v", resp.Header)
	}
	return strings.TrimPrefix(resp.Header.Get("Location"), k.web.URL)
}

// more sends content to an upload.
func (k *clinic) more(status int, path string, offset int64, last string, content []byte) *http.Response {
	k.t.Helper()
	resp, _ := k.c.with("Content-Type", contentPartial).with(headerOffset, strconv.FormatInt(offset, 10)).with(headerComplete, last).
		want(status, "PATCH", path, string(content), nil)
	return resp
}

func (k *clinic) offset(path string) (at int64, complete bool) {
	k.t.Helper()
	resp, _ := k.c.want(http.StatusNoContent, "HEAD", path, "", nil)
	at, err := strconv.ParseInt(resp.Header.Get(headerOffset), 10, 64)
	if err != nil {
		k.t.Fatalf("HEAD: no offset: %v", resp.Header)
	}
	return at, resp.Header.Get(headerComplete) == whole
}

// restart ends the gateway and starts it anew over the same folders; the
// doctor signs in again.
func (k *clinic) restart() {
	k.t.Helper()
	if err := k.gateway.Close(); err != nil {
		k.t.Fatalf("close gateway: %v", err)
	}
	k.web.Close()
	g, err := New(k.config)
	if err != nil {
		k.t.Fatalf("new gateway: %v", err)
	}
	k.gateway, k.web = g, httptest.NewServer(g)
	k.t.Cleanup(func() { k.web.Close(); g.Close() })
	k.c = k.signIn(k.doctor, k.share(k.org, k.doctor, grant.Read, directoryCategory()), k.share(k.patient, k.doctor, grant.Read, allCategories()...))
}

func TestUploadGoesOn(t *testing.T) {
	k := newClinic(t)
	const part = client.PartBytes
	content := randomBytes(4*part + 5)
	path := k.begin("application/dicom", len(content))
	resp := k.more(http.StatusNoContent, path, 0, notYet, content[:part+9])
	if resp.Header.Get(headerOffset) != strconv.Itoa(part) {
		t.Errorf("offset: got %s, want one part", resp.Header.Get(headerOffset))
	}
	k.more(http.StatusConflict, path, part+9, notYet, content[part+9:])
	k.more(http.StatusConflict, path, 0, notYet, content)
	resp = k.more(http.StatusBadRequest, path, part, whole, content[part:2*part]) // shorter than was said
	if resp.Header.Get(headerOffset) != strconv.Itoa(2*part) {
		t.Errorf("offset: got %s, want two parts", resp.Header.Get(headerOffset))
	}
	if err := k.breakOff(path, 2*part, content[2*part:3*part+1]); err == nil {
		t.Error("a connection that broke got an answer")
	}
	// Whether the third part was durable before the connection broke is chance;
	// what the gateway says it has, it has.
	kept, done := k.offset(path)
	if kept != 2*part && kept != 3*part || done {
		t.Errorf("after a broken connection: at %d, want %d or %d", kept, 2*part, 3*part)
	}
	k.restart()
	k.noPlaintext(content)
	at, _ := k.offset(path)
	if at < kept || at > 3*part || at%part != 0 {
		t.Errorf("after a restart: at %d, want at least %d", at, kept)
	}
	resp = k.more(http.StatusCreated, path, at, whole, content[at:])
	if _, got := k.c.want(http.StatusOK, "GET", "/Binary/"+idOf(resp), "", nil); !bytes.Equal(got, content) {
		t.Errorf("read: got %d bytes, want the very %d", len(got), len(content))
	}
	// A client that lost the answer learns where it lies.
	head, _ := k.c.want(http.StatusNoContent, "HEAD", path, "", nil)
	if head.Header.Get(headerComplete) != whole || head.Header.Get("Location") != resp.Header.Get("Location") {
		t.Errorf("complete: got %v, want the Location %s", head.Header, resp.Header.Get("Location"))
	}
	k.more(http.StatusConflict, path, int64(len(content)), whole, nil)
}

// breakOff sends content to an upload and breaks the connection before it is
// all there.
func (k *clinic) breakOff(path string, offset int, content []byte) error {
	ctx, cancel := context.WithCancel(k.t.Context())
	defer cancel()
	body, feed := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, "PATCH", k.web.URL+path, body)
	if err != nil {
		return err
	}
	r.ContentLength = int64(len(content)) + 1
	for n, v := range map[string]string{"Authorization": "Bearer " + k.c.access, "Content-Type": contentPartial,
		headerOffset: strconv.Itoa(offset), headerComplete: notYet} {
		r.Header.Set(n, v)
	}
	go func() {
		feed.Write(content)
		feed.CloseWithError(errors.New("the line is cut"))
	}()
	resp, err := http.DefaultClient.Do(r)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// noPlaintext looks for a part of content, and for what names the upload, in
// the gateway's folders.
func (k *clinic) noPlaintext(content []byte) {
	k.t.Helper()
	for _, dir := range []string{k.config.Outbox, k.config.Uploads} {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			k.t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				k.t.Fatal(err)
			}
			if bytes.Contains(b, content[100:132]) || bytes.Contains(b, k.patient.id[:]) || bytes.Contains(b, []byte("application/dicom")) {
				k.t.Errorf("%s: holds what it must not", filepath.Base(filepath.Dir(f)))
			}
		}
	}
}

// TestUploadTornState: a state file whose last frame is not whole loses that
// part alone; one that is damaged before is not gone on with.
func TestUploadTornState(t *testing.T) {
	k := newClinic(t)
	const part = client.PartBytes
	content := randomBytes(2*part + 1)
	path := k.begin("image/png", 0)
	k.more(http.StatusNoContent, path, 0, notYet, content[:2*part])
	files, err := filepath.Glob(filepath.Join(k.config.Uploads, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("state: got %v, %v, want one file", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < 100; cut += 33 {
		if err := os.WriteFile(files[0], whole[:len(whole)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if at, _ := k.offset(path); at != part {
			t.Errorf("%d bytes cut off: at %d, want %d", cut, at, part)
		}
	}
	resp := k.more(http.StatusCreated, path, part, "?1", content[part:])
	if _, got := k.c.want(http.StatusOK, "GET", "/Binary/"+idOf(resp), "", nil); !bytes.Equal(got, content) {
		t.Errorf("read: got %d bytes, want the very %d", len(got), len(content))
	}
	whole[10] ^= 1
	if err := os.WriteFile(files[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	k.c.want(http.StatusNotFound, "HEAD", path, "", nil)
}

func TestUploadRefused(t *testing.T) {
	k := newClinic(t)
	k.content("image/png").want(http.StatusBadRequest, "POST", "/Binary/$upload", "x", nil)
	k.content("image/png").with(headerLength, "-1").want(http.StatusBadRequest, "POST", "/Binary/$upload", "", nil)
	k.content("image/png").with(headerLength, "99999999999").want(http.StatusRequestEntityTooLarge, "POST", "/Binary/$upload", "", nil)
	k.c.with("Content-Type", "image/png").want(http.StatusUnprocessableEntity, "POST", "/Binary/$upload", "", nil)
	path := k.begin("image/png", 3)
	patch := k.c.with("Content-Type", contentPartial)
	patch.want(http.StatusBadRequest, "PATCH", path, "abc", nil)
	patch.with(headerOffset, "0").want(http.StatusBadRequest, "PATCH", path, "abc", nil)
	patch.with(headerOffset, "0").with(headerComplete, "1").want(http.StatusBadRequest, "PATCH", path, "abc", nil)
	k.c.with(headerOffset, "0").with(headerComplete, whole).want(http.StatusUnsupportedMediaType, "PATCH", path, "abc", nil)
	k.more(http.StatusRequestEntityTooLarge, path, 0, whole, make([]byte, 24<<20+1))
	k.more(http.StatusNotFound, "/Binary/$upload/"+strings.Repeat("a", 52), 0, whole, []byte("abc"))
	// Another person's upload is not there.
	other, directory := k.clinician()
	c := k.signIn(other, directory, k.share(k.patient, other, grant.Read, allCategories()...))
	for _, method := range []string{"HEAD", "DELETE"} {
		c.want(http.StatusNotFound, method, path, "", nil)
	}
	c.with("Content-Type", contentPartial).with(headerOffset, "0").with(headerComplete, whole).want(http.StatusNotFound, "PATCH", path, "abc", nil)
	// Whoever lost the patient's grant does not go on.
	k.c.want(http.StatusNoContent, "DELETE", path, "", nil)
	k.c.want(http.StatusNotFound, "HEAD", path, "", nil)
	// What nobody goes on with is forgotten.
	path = k.begin("image/png", 3)
	k.gateway.uploads.sweep(time.Now().Add(uploadLife + time.Minute))
	k.c.want(http.StatusNotFound, "HEAD", path, "", nil)
}

// TestUploadTakenOver: a request at an upload breaks off the one before, whose
// client has lost it.
func TestUploadTakenOver(t *testing.T) {
	k := newClinic(t)
	path := k.begin("image/png", 0)
	body, feed := io.Pipe()
	defer feed.Close()
	r, err := http.NewRequestWithContext(t.Context(), "PATCH", k.web.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for n, v := range map[string]string{"Authorization": "Bearer " + k.c.access, "Content-Type": contentPartial, headerOffset: "0", headerComplete: whole} {
		r.Header.Set(n, v)
	}
	broken := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest {
				err = errors.New(resp.Status)
			}
		}
		broken <- err
	}()
	content := randomBytes(client.PartBytes + 10)
	if _, err := feed.Write(content); err != nil { // how much of it has come in is not known
		t.Fatal(err)
	}
	for !k.gateway.uploads.claimed(path[strings.LastIndexByte(path, '/')+1:]) { // the gateway has taken the request up
		runtime.Gosched()
	}
	at, done := k.offset(path)
	if at != 0 && at != client.PartBytes || done {
		t.Errorf("taken over: at %d, want nothing or what was whole", at)
	}
	resp := k.more(http.StatusCreated, path, at, whole, content[at:])
	feed.CloseWithError(io.ErrClosedPipe)
	<-broken
	if _, got := k.c.want(http.StatusOK, "GET", "/Binary/"+idOf(resp), "", nil); !bytes.Equal(got, content) {
		t.Errorf("read: got %d bytes, want the very %d", len(got), len(content))
	}
}

// TestBinaryBreaksOff: what goes wrong before the first byte is an outcome that
// names the part; behind it the connection breaks, and never looks whole.
func TestBinaryBreaksOff(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	content := randomBytes(3 * client.PartBytes)
	path, _ := k.putBinary("image/png", content)
	for _, gone := range []int{2, 0} {
		var parts []client.Row
		for _, p := range k.gateway.sessionsNow() {
			chart, _ := k.gateway.slot(p, k.patient.id, "")
			for _, o := range chart.objects {
				parts = append(parts, client.Row{Batch: o.manifest.Parts[gone], Records: 1})
			}
		}
		if out, err := k.net.Erase(t.Context(), client.KeyHand(k.patient.id, k.patient.signing), parts...); err != nil || !out.InForce {
			t.Fatalf("erase: %+v, %v", out, err)
		}
		resp := k.c.do("GET", path, "")
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case gone == 0:
			var outcome struct {
				Issue []struct{ Diagnostics string }
			}
			if resp.StatusCode != http.StatusGone || json.Unmarshal(got, &outcome) != nil || !strings.HasPrefix(outcome.Issue[0].Diagnostics, "part 1 of 3:") {
				t.Errorf("the first part gone: got %d %s", resp.StatusCode, clip(got))
			}
			if resp.Header.Get("Content-Security-Policy") != "" || resp.Header.Get("Content-Range") != "" || resp.Header.Get("Content-Type") != contentFHIR {
				t.Errorf("an outcome with the headers of content: %v", resp.Header)
			}
		case err == nil || !bytes.Equal(got, content[:len(got)]) || len(got) > 2*client.PartBytes:
			t.Errorf("the last part gone: got %d bytes, %v, want a broken connection", len(got), err)
		}
	}
}

// TestBrokenOffOverHTTP2: there, too, what is not the whole ends as an error of
// the stream and not as an answer that is merely short.
func TestBrokenOffOverHTTP2(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	path, _ := k.putBinary("image/png", randomBytes(4*client.PartBytes))
	var last client.Row
	for _, p := range k.gateway.sessionsNow() {
		chart, _ := k.gateway.slot(p, k.patient.id, "")
		for _, o := range chart.objects {
			last = client.Row{Batch: o.manifest.Parts[3], Records: 1}
		}
	}
	if out, err := k.net.Erase(t.Context(), client.KeyHand(k.patient.id, k.patient.signing), last); err != nil || !out.InForce {
		t.Fatalf("erase: %+v, %v", out, err)
	}
	web := httptest.NewUnstartedServer(k.gateway)
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", web.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+k.c.access)
	resp, err := web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err = io.Copy(io.Discard, resp.Body); err == nil || errors.Is(err, io.ErrUnexpectedEOF) || resp.ProtoMajor != 2 {
		t.Errorf("HTTP/%d: got %v, want the stream reset", resp.ProtoMajor, err)
	}
}

// TestStreamsAreBounded: more than streamsMax at once are told to wait, and a
// gateway that stops breaks them off.
func TestStreamsAreBounded(t *testing.T) {
	var s streams
	var ended int
	var done []func()
	for range streamsMax {
		d, err := s.begin(func() { ended++ })
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, d)
	}
	if _, err := s.begin(func() {}); err == nil {
		t.Error("one more than there may be was let in")
	}
	done[0]()
	if _, err := s.begin(func() { ended++ }); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	s.stop()
	if ended != streamsMax {
		t.Errorf("stopped: got %d broken off, want %d", ended, streamsMax)
	}
	done[1]()
	if _, err := s.begin(func() {}); err == nil {
		t.Error("a gateway that stops let one in")
	}
}

// TestBinaryByActor: the header Abaton-Patient names the patient as well.
func TestBinaryByActor(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	c := k.c.with("Content-Type", "application/pdf").with(headerPatient, k.patient.id.String())
	resp, _ := c.want(http.StatusCreated, "POST", "/Binary", "x", nil)
	if resp, _ := k.c.want(http.StatusOK, "GET", "/Binary/"+idOf(resp), "", nil); resp.Header.Get(headerContext) != "Patient/"+k.id {
		t.Errorf("context: got %q, want the Patient", resp.Header.Get(headerContext))
	}
	c.want(http.StatusCreated, "POST", "/Binary/$upload", "", nil)
}

// claimed reports whether a request is at the upload.
func (u *uploads) claimed(name string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.running[name] != nil
}
