package gateway

import (
	"net/http"
	"time"
)

// steady writes to a client as long as it keeps reading: each write must end
// within streamWait, so that one that stops reading holds nothing for long.
type steady struct{ w http.ResponseWriter }

// Write implements io.Writer.
func (p *steady) Write(b []byte) (int, error) {
	// A writer without deadlines, as in tests, is written to without one.
	_ = http.NewResponseController(p.w).SetWriteDeadline(time.Now().Add(streamWait))
	return p.w.Write(b)
}
