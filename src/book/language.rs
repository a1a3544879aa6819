//! Names of languages: Chinese, English and their own, to the code that two spellings share.
//!
//! Codes are those of ISO 639-1. `[languages]` of the configuration goes before this table, so a
//! house may call its languages as it likes.

/// The ISO 639-1 code of a language by any of its names or by the code itself, with or without a
/// region (`en-US`, `English (UK)`); `None` for a name that is not listed.
#[must_use]
pub fn code(name: &str) -> Option<&'static str> {
    let name = name.trim().to_lowercase();
    let listed = |name: &str| {
        let known = |(code, names): &&(&str, &[&str])| *code == name || names.contains(&name);
        LANGUAGES.iter().find(known).map(|(code, _)| *code)
    };
    listed(&name).or_else(|| {
        let (stem, _) = name.split_once(['-', '_', '(', '（'])?;
        listed(stem.trim())
    })
}

/// Whether a row's language is that of the tag it is to get: the same word or the same code by
/// `names`. A row that says nothing agrees, and so does one that lists the tag's among several.
#[must_use]
pub fn language_agrees(
    row_language: &str,
    tag_language: &str,
    names: &dyn Fn(&str) -> Option<String>,
) -> bool {
    let code = |name: &str| names(name).unwrap_or_else(|| name.to_lowercase());
    let wanted = code(tag_language.trim());
    let mut said = row_language
        .split(['/', ',', ';', '、', '，', '；', '|', '+'])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .peekable();
    wanted.is_empty() || said.peek().is_none() || said.any(|name| code(name) == wanted)
}

/// Code, then names in lower case.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("af", &["南非语", "阿非利卡语", "afrikaans"]),
    ("am", &["阿姆哈拉语", "amharic", "አማርኛ"]),
    ("ar", &["阿拉伯语", "阿语", "arabic", "العربية"]),
    ("az", &["阿塞拜疆语", "azerbaijani", "azeri", "azərbaycan"]),
    ("be", &["白俄罗斯语", "belarusian", "беларуская"]),
    ("bg", &["保加利亚语", "bulgarian", "български"]),
    ("bn", &["孟加拉语", "bengali", "bangla", "বাংলা"]),
    ("bs", &["波斯尼亚语", "bosnian", "bosanski"]),
    ("ca", &["加泰罗尼亚语", "catalan", "català"]),
    ("cs", &["捷克语", "czech", "čeština"]),
    ("da", &["丹麦语", "danish", "dansk"]),
    ("de", &["德语", "german", "deutsch"]),
    ("el", &["希腊语", "greek", "ελληνικά"]),
    ("en", &["英语", "英文", "english"]),
    ("es", &["西班牙语", "西语", "spanish", "castilian", "español", "castellano"]),
    ("et", &["爱沙尼亚语", "estonian", "eesti"]),
    ("eu", &["巴斯克语", "basque", "euskara"]),
    ("fa", &["波斯语", "persian", "farsi", "فارسی"]),
    ("fi", &["芬兰语", "finnish", "suomi"]),
    ("fr", &["法语", "法文", "french", "français", "francais"]),
    ("ga", &["爱尔兰语", "irish", "gaeilge"]),
    ("gl", &["加利西亚语", "galician", "galego"]),
    ("he", &["希伯来语", "hebrew", "iw", "עברית"]),
    ("hi", &["印地语", "hindi", "हिन्दी"]),
    ("hr", &["克罗地亚语", "croatian", "hrvatski"]),
    ("hu", &["匈牙利语", "hungarian", "magyar"]),
    ("hy", &["亚美尼亚语", "armenian", "հայերեն"]),
    ("id", &["印尼语", "印度尼西亚语", "indonesian", "bahasa indonesia"]),
    ("is", &["冰岛语", "icelandic", "íslenska"]),
    ("it", &["意大利语", "意语", "italian", "italiano"]),
    ("ja", &["日语", "日文", "japanese", "日本語"]),
    ("ka", &["格鲁吉亚语", "georgian", "ქართული"]),
    ("kk", &["哈萨克语", "kazakh", "қазақша", "қазақ тілі"]),
    ("km", &["高棉语", "柬埔寨语", "khmer", "ខ្មែរ"]),
    ("ko", &["韩语", "韩文", "朝鲜语", "korean", "한국어"]),
    ("lo", &["老挝语", "lao", "ລາວ"]),
    ("lt", &["立陶宛语", "lithuanian", "lietuvių"]),
    ("lv", &["拉脱维亚语", "latvian", "latviešu"]),
    ("mk", &["马其顿语", "macedonian", "македонски"]),
    ("mn", &["蒙古语", "mongolian", "монгол"]),
    ("ms", &["马来语", "malay", "bahasa melayu"]),
    ("my", &["缅甸语", "burmese", "မြန်မာ"]),
    ("ne", &["尼泊尔语", "nepali", "नेपाली"]),
    ("nl", &["荷兰语", "dutch", "flemish", "nederlands"]),
    ("no", &["挪威语", "norwegian", "norsk", "nb", "nn", "bokmål", "nynorsk"]),
    ("pl", &["波兰语", "polish", "polski"]),
    ("pt", &["葡萄牙语", "葡语", "portuguese", "português", "portugues"]),
    ("ro", &["罗马尼亚语", "romanian", "moldovan", "română"]),
    ("ru", &["俄语", "俄文", "russian", "русский"]),
    ("si", &["僧伽罗语", "sinhala", "sinhalese", "සිංහල"]),
    ("sk", &["斯洛伐克语", "slovak", "slovenčina"]),
    ("sl", &["斯洛文尼亚语", "slovenian", "slovene", "slovenščina"]),
    ("sq", &["阿尔巴尼亚语", "albanian", "shqip"]),
    ("sr", &["塞尔维亚语", "serbian", "srpski", "српски"]),
    ("sv", &["瑞典语", "swedish", "svenska"]),
    ("sw", &["斯瓦希里语", "swahili", "kiswahili"]),
    ("ta", &["泰米尔语", "tamil", "தமிழ்"]),
    ("te", &["泰卢固语", "telugu", "తెలుగు"]),
    ("th", &["泰语", "thai", "ไทย"]),
    ("tl", &["他加禄语", "菲律宾语", "tagalog", "filipino", "fil"]),
    ("tr", &["土耳其语", "土语", "turkish", "türkçe", "turkce"]),
    ("uk", &["乌克兰语", "ukrainian", "українська"]),
    ("ur", &["乌尔都语", "urdu", "اردو"]),
    ("uz", &["乌兹别克语", "uzbek", "oʻzbek", "o'zbek"]),
    ("vi", &["越南语", "越语", "vietnamese", "tiếng việt"]),
    ("zh", &["中文", "汉语", "华语", "普通话", "chinese", "mandarin", "zh-hans", "zh-hant"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_codes() {
        for (name, expected) in [
            ("英语", Some("en")),
            (" English ", Some("en")),
            ("EN", Some("en")),
            ("en-US", Some("en")),
            ("English (UK)", Some("en")),
            ("法语", Some("fr")),
            ("Français", Some("fr")),
            ("ESPAÑOL", Some("es")),
            ("pt_BR", Some("pt")),
            ("Русский", Some("ru")),
            ("nb", Some("no")),
            ("", None),
            ("-", None),
            ("Klingon", None),
        ] {
            assert_eq!(code(name), expected, "{name:?}");
        }
    }

    #[test]
    fn rows_agree_with_their_tag() {
        let names = |name: &str| code(name).map(str::to_owned);
        for (row, tag, expected) in [
            ("", "英语", true),
            ("English", "英语", true),
            ("en-GB", "英语", true),
            ("法语", "英语", false),
            ("French / English", "英语", true),
            ("fr;de", "英语", false),
            ("Klingon", "英语", false),
            ("klingon", "Klingon", true),
            ("法语", "", true),
        ] {
            assert_eq!(language_agrees(row, tag, &names), expected, "{row} {tag}");
        }
        let own =
            |name: &str| (name == "米式英语").then(|| "en".to_owned()).or_else(|| names(name));
        assert!(language_agrees("米式英语", "英语", &own));
    }

    #[test]
    fn every_name_is_plain_and_leads_to_one_language() {
        let mut seen = std::collections::HashMap::new();
        for (code, names) in LANGUAGES {
            for name in std::iter::once(code).chain(*names) {
                assert_eq!(name.trim().to_lowercase(), **name);
                assert_eq!(seen.insert(*name, code), None, "{name} twice");
                assert_eq!(super::code(name), Some(*code));
            }
        }
    }
}
