package hl7

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// A Header is what MSH says, for answering. The zero Header answers a message
// that could not be read.
type Header struct {
	m                   marks
	Sender, Facility    string // MSH-3, MSH-4 as written
	Receiver, Receiving string // MSH-5, MSH-6 as written
	Control             string // MSH-10
	Processing, Version string // MSH-11, MSH-12 as written
	Type, Event         string // MSH-9.1, MSH-9.2
	Accept, Application string // MSH-15, MSH-16: when an answer is wanted; both empty in original mode
}

// Header is the message's own.
func (m *Message) Header() Header {
	return headerOf(m.First("MSH"))
}

func headerOf(msh Segment) Header {
	return Header{m: msh.m, Sender: msh.Field(3).text, Facility: msh.Field(4).text, Receiver: msh.Field(5).text, Receiving: msh.Field(6).text,
		Type: msh.Field(9).Part(1).Text(), Event: msh.Field(9).Part(2).Text(), Control: msh.Field(10).text,
		Processing: msh.Field(11).text, Version: msh.Field(12).text, Accept: msh.Field(15).Text(), Application: msh.Field(16).Text()}
}

// HeaderOf reads the header of a message that may be broken behind it, as far
// as it can be read.
func HeaderOf(raw []byte) Header {
	m, err := marksOf(raw)
	if err != nil {
		return Header{}
	}
	line, _, _ := strings.Cut(strings.ToValidUTF8(string(raw[:min(len(raw), headBytesMax)]), "?"), "\r")
	line, _, _ = strings.Cut(line, "\n")
	if strings.Count(line, string(m.field)) > FieldsMax {
		return Header{}
	}
	fields := strings.Split(line, string(m.field))
	return headerOf(Segment{Name: "MSH", fields: append([]string{"MSH", string(m.field)}, fields[1:]...), m: m})
}

// Enhanced reports whether the sender speaks the enhanced mode, where answers
// say that a message is kept and not what became of it (HL7 v2.5.1, section
// 2.9.3).
func (h Header) Enhanced() bool { return h.Accept != "" || h.Application != "" }

// An Answer is what a message is answered with. Code is AA, AE or AR; in
// enhanced mode CA, CE or CR stand for them. Text and Reason are fixed words
// of this software, never of the message.
type Answer struct {
	Code   string
	Reason Reason // of a message that was set aside or refused
	Text   string
}

// Wanted reports whether the sender wants this answer (HL7 table 0155): always
// but where the enhanced mode says otherwise.
func (h Header) Wanted(a Answer) bool {
	good := a.Code == "AA"
	switch h.Accept {
	case "NE":
		return false
	case "ER":
		return !good
	case "SU":
		return good
	}
	return true
}

// Acknowledge writes the answer to a message (HL7 v2.5.1, section 2.9.2): MSH
// with sender and receiver changed over, MSA, and an ERR where there is a
// reason.
func Acknowledge(h Header, a Answer, now time.Time) []byte {
	if h.m == (marks{}) {
		h.m = marks{field: '|', component: '^', repetition: '~', escape: '\\', sub: '&'}
	}
	f, code := string(h.m.field), a.Code
	if h.Enhanced() {
		code = "C" + strings.TrimPrefix(code, "A")
	}
	encoding := string([]byte{h.m.component, h.m.repetition, h.m.escape, h.m.sub})
	stamp := now.Format("20060102150405.000-0700")
	kind := "ACK"
	if h.Event != "" {
		kind += string(h.m.component) + h.Event + string(h.m.component) + "ACK"
	}
	version, processing := h.Version, h.Processing
	if version == "" {
		version = "2.5.1"
	}
	if processing == "" {
		processing = "P"
	}
	msh := []string{"MSH", encoding, h.Receiver, h.Receiving, h.Sender, h.Facility, escape(stamp, h.m), "", kind, controlOf(h, code, stamp), processing, version}
	msa := []string{"MSA", code, h.Control, escape(a.Text, h.m)}
	out := strings.Join(msh, f) + "\r" + strings.TrimRight(strings.Join(msa, f), f) + "\r"
	if a.Reason != "" {
		out += strings.Join(errorFields(h, a), f) + "\r"
	}
	return []byte(out)
}

// Answers is the control id of the message that an answer is to (MSA-2), as
// it was written there.
func Answers(m *Message) string { return m.First("MSA").Field(2).text }

// controlOf names an answer: not a number that would have to be kept.
func controlOf(h Header, code, stamp string) string {
	sum := sha256.Sum256([]byte(h.Sender + "\x00" + h.Facility + "\x00" + h.Control + "\x00" + code + "\x00" + stamp))
	return hex.EncodeToString(sum[:10])
}

// errorFields are ERR: a code of HL7 table 0357, severity, and our reason.
func errorFields(h Header, a Answer) []string {
	c := string(h.m.component)
	severity := "E"
	if a.Code == "AA" {
		severity = "W" // it is kept; people look at it
	}
	number, text := errorCode(a.Reason)
	return []string{"ERR", "", "", number + c + text + c + "HL70357", severity, escape(string(a.Reason), h.m) + c + c + "L", "", "", escape(a.Text, h.m)}
}

// errorCode is a reason's row of HL7 table 0357.
func errorCode(r Reason) (number, text string) {
	switch r {
	case ReasonSyntax, ReasonTooLarge:
		return "100", "Segment sequence error"
	case ReasonCharset:
		return "102", "Data type error"
	case ReasonIncomplete:
		return "101", "Required field missing"
	case ReasonUnsupported, ReasonMerge:
		return "201", "Unsupported event code"
	case ReasonTest:
		return "202", "Unsupported processing id"
	case ReasonPatient, ReasonAmbiguous, ReasonMismatch:
		return "204", "Unknown key identifier"
	}
	return "207", "Application internal error"
}
