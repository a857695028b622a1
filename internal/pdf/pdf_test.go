package pdf_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/pdf"
)

func sample(size int, mark string, rows int) *pdf.Document {
	d := pdf.New(pdf.Info{Title: "Over uw dossier: één", Language: "nl", Size: size, Mark: mark, Pages: "Pagina %d van %d"})
	d.Section("nl")
	d.Heading(1, "Over uw medisch dossier")
	d.Heading(2, "Wat is er geopend")
	d.Paragraph(pdf.Span{Text: strings.Repeat("Eén stuk uit uw dossier is geopend. ", 12)}, pdf.Span{Text: "[k3-128, k4-99]", Small: true})
	d.Paragraph(pdf.Span{Text: "Dr. Yılmaz-Łukasiewicz, Αθήνα, Київ", Bold: true}, pdf.Span{Text: " " + strings.Repeat("act1zh5moet7vfrb", 20)})
	var all [][]string
	for i := range rows {
		all = append(all, []string{fmt.Sprintf("%d november 2026, 11:52 UTC", i+1), "stukken opgevraagd", "physician", "4", "0", strings.Repeat("k1-2203 ", 5)})
	}
	d.Table(pdf.Table{Head: []string{"Wanneer", "Wat", "Rol", "Geopend", "Niet geopend", "Bewijs"}, Rows: all, Wide: []int{5, 5, 4, 3, 3, 6}})
	d.Section("en")
	d.Heading(1, "About your medical record")
	d.Paragraph(pdf.Span{Text: "One of your records was opened."})
	return d
}

func TestX(t *testing.T) {
	b, err := sample(12, "DRILL – not to be sent. This is not real.", 30).Bytes(pdf.File{Name: "signed.json", Data: []byte(`{"v":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile("/tmp/letters/a.pdf", b, 0o600)
	b, err = sample(18, "", 4).Bytes(pdf.File{Name: "signed.json", Data: []byte(`{"v":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile("/tmp/letters/b.pdf", b, 0o600)
	_ = bytes.Equal
	_ = errors.Is
}
