package search

import (
	"slices"
	"strings"
	"sync"
	"unicode"
)

// fold is a string as string searches compare it: lower case, accents off,
// runs of white space as one blank (FHIR R4, search.html#string). Letters that
// are written with a stroke count as the letter without; ß is ss, æ is ae,
// œ is oe.
func fold(s string) string {
	plain := true
	for i := range len(s) {
		if b := s[i]; b >= 0x80 || b-'A' < 26 || b < 0x20 || b == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var out strings.Builder
	blank := false
	for _, r := range s {
		if unicode.IsSpace(r) || r < 0x20 {
			blank = out.Len() > 0
			continue
		}
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		if blank {
			out.WriteByte(' ')
			blank = false
		}
		foldRune(&out, unicode.ToLower(r))
	}
	return out.String()
}

func foldRune(out *strings.Builder, r rune) {
	switch {
	case r < 0x80:
		out.WriteByte(byte(r))
	case r == 'ß':
		out.WriteString("ss")
	case r == 'æ':
		out.WriteString("ae")
	case r == 'œ':
		out.WriteString("oe")
	default:
		list := letters()
		if at, ok := slices.BinarySearchFunc(list, r, func(l letter, r rune) int { return int(l.accented - r) }); ok {
			r = list[at].plain
		}
		out.WriteRune(r)
	}
}

// A letter is a small letter with marks, and without.
type letter struct{ accented, plain rune }

var letters = sync.OnceValue(func() (list []letter) {
	all := []rune(letterText)
	for i := 0; i+1 < len(all); i += 2 {
		list = append(list, letter{all[i], all[i+1]})
	}
	return list
})

// letterText is, in order, each small letter of Latin, Greek and Cyrillic
// whose canonical decomposition (UnicodeData.txt, field 5) is one letter and
// marks, followed by that letter; and eight that have a stroke or are forms of
// another letter.
const letterText = "" +
	"àaáaâaãaäaåaçcèeéeêeëeìiíiîiïiðdñnòoóoôoõoöoøoùuúuûuüuýyÿyāaăaąaćcĉcċcčcďdđdēeĕe" +
	"ėeęeěeĝgğgġgģgĥhħhĩiīiĭiįiıiĵjķkĺlļlľlłlńnņnňnōoŏoőoŕrŗrřrśsŝsşsšsţtťtŧtũuūuŭuůu" +
	"űuųuŵwŷyźzżzžzơoưuǎaǐiǒoǔuǖuǘuǚuǜuǟaǡaǣæǧgǩkǫoǭoǯʒǰjǵgǹnǻaǽæǿøȁaȃaȅeȇeȉiȋiȍoȏoȑr" +
	"ȓrȕuȗușsțtȟhȧaȩeȫoȭoȯoȱoȳyʹʹΐιάαέεήηίιΰυςσϊιϋυόούυώωϓϒϔϒйиѐеёеѓгїіќкѝиўуѷѵӂжӑаӓа" +
	"ӗеӛәӝжӟзӣиӥиӧоӫөӭэӯуӱуӳуӵчӹыḁaḃbḅbḇbḉcḋdḍdḏdḑdḓdḕeḗeḙeḛeḝeḟfḡgḣhḥhḧhḩhḫhḭiḯiḱkḳk" +
	"ḵkḷlḹlḻlḽlḿmṁmṃmṅnṇnṉnṋnṍoṏoṑoṓoṕpṗpṙrṛrṝrṟrṡsṣsṥsṧsṩsṫtṭtṯtṱtṳuṵuṷuṹuṻuṽvṿvẁwẃw" +
	"ẅwẇwẉwẋxẍxẏyẑzẓzẕzẖhẗtẘwẙyẛſạaảaấaầaẩaẫaậaắaằaẳaẵaặaẹeẻeẽeếeềeểeễeệeỉiịiọoỏoốoồo" +
	"ổoỗoộoớoờoởoỡoợoụuủuứuừuửuữuựuỳyỵyỷyỹyἀαἁαἂαἃαἄαἅαἆαἇαἐεἑεἒεἓεἔεἕεἠηἡηἢηἣηἤηἥηἦη" +
	"ἧηἰιἱιἲιἳιἴιἵιἶιἷιὀοὁοὂοὃοὄοὅοὐυὑυὒυὓυὔυὕυὖυὗυὠωὡωὢωὣωὤωὥωὦωὧωὰαάαὲεέεὴηήηὶιίιὸο" +
	"όοὺυύυὼωώωᾀαᾁαᾂαᾃαᾄαᾅαᾆαᾇαᾐηᾑηᾒηᾓηᾔηᾕηᾖηᾗηᾠωᾡωᾢωᾣωᾤωᾥωᾦωᾧωᾰαᾱαᾲαᾳαᾴαᾶαᾷαιιῂηῃηῄη" +
	"ῆηῇηῐιῑιῒιΐιῖιῗιῠυῡυῢυΰυῤρῥρῦυῧυῲωῳωῴωῶωῷω"
