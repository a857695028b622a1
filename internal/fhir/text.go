package fhir

const hexDigits = "0123456789abcdef"

// appendText appends s as a JSON string. Invalid UTF-8 becomes U+FFFD, so
// that what is written is always readable by Parse.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s { // range decodes, invalid bytes as U+FFFD
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r < 0x20 || r == 0x2028 || r == 0x2029:
			dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}
