//! The unsubscribe page: what a person sees who follows the link in a letter.
//!
//! It names neither the address nor the sender, so that the page of a bad token is the same page.
//! No script, no image, no cookie; it works in a text browser and with a screen reader.

/// The languages we have words in. The first is for those whose language we do not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Chinese, simplified.
    Zh,
    /// French.
    Fr,
    /// Spanish.
    Es,
    /// German.
    De,
    /// Russian.
    Ru,
}

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Asks, with a button.
    Ask,
    /// It is done.
    Done,
    /// It could not be recorded: asks to try again, with the same button.
    Failed,
}

/// What the page's own button posts; the POST of a mail program (RFC 8058) says something else.
pub const BUTTON: &str = "from=page";

/// Titles, texts and labels of buttons.
struct Words {
    tag: &'static str,
    ask: [&'static str; 3],
    done: [&'static str; 2],
    failed: [&'static str; 3],
}

const EN: Words = Words {
    tag: "en",
    ask: [
        "Unsubscribe?",
        "Press the button and we will not write to this address again.",
        "Unsubscribe",
    ],
    done: ["You are unsubscribed", "We will not write to this address again."],
    failed: [
        "That did not work",
        "We could not record your wish just now. Please try again in a minute.",
        "Try again",
    ],
};

const ZH: Words = Words {
    tag: "zh-Hans",
    ask: ["确定要退订吗？", "点击按钮后，我们将不再向此邮箱发送邮件。", "退订"],
    done: ["退订成功", "我们不会再向此邮箱发送邮件。"],
    failed: ["操作未成功", "暂时无法记录您的退订请求，请稍后再试。", "重试"],
};

const FR: Words = Words {
    tag: "fr",
    ask: [
        "Se désabonner\u{a0}?",
        "Appuyez sur le bouton et nous n’écrirons plus à cette adresse.",
        "Se désabonner",
    ],
    done: ["Vous êtes désabonné(e)", "Nous n’écrirons plus à cette adresse."],
    failed: [
        "Cela n’a pas fonctionné",
        "Nous n’avons pas pu enregistrer votre demande. Veuillez réessayer dans une minute.",
        "Réessayer",
    ],
};

const ES: Words = Words {
    tag: "es",
    ask: [
        "¿Darse de baja?",
        "Pulse el botón y no volveremos a escribir a esta dirección.",
        "Darse de baja",
    ],
    done: ["Se ha dado de baja", "No volveremos a escribir a esta dirección."],
    failed: [
        "No ha funcionado",
        "No hemos podido registrar su solicitud. Inténtelo de nuevo dentro de un minuto.",
        "Intentar de nuevo",
    ],
};

const DE: Words = Words {
    tag: "de",
    ask: [
        "Abmelden?",
        "Ein Klick auf den Knopf, und wir schreiben nicht mehr an diese Adresse.",
        "Abmelden",
    ],
    done: ["Sie sind abgemeldet", "Wir schreiben nicht mehr an diese Adresse."],
    failed: [
        "Das hat nicht geklappt",
        "Wir konnten Ihren Wunsch gerade nicht festhalten. Bitte versuchen Sie es in einer Minute noch einmal.",
        "Noch einmal versuchen",
    ],
};

const RU: Words = Words {
    tag: "ru",
    ask: [
        "Отписаться?",
        "Нажмите кнопку, и мы больше не будем писать на этот адрес.",
        "Отписаться",
    ],
    done: ["Вы отписаны", "Мы больше не будем писать на этот адрес."],
    failed: [
        "Не получилось",
        "Сейчас не удалось записать ваш отказ. Пожалуйста, попробуйте ещё раз через минуту.",
        "Попробовать ещё раз",
    ],
};

const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fff;--ground:#eef2f5;--ink:#1b2a36;--soft:#51626f;--sea:#0b6380;--edge:#d5dee4}\
@media(prefers-color-scheme:dark){:root{--paper:#1a2530;--ground:#111a22;--ink:#e9eff3;--soft:#a9b9c4;--sea:#6cc3de;--edge:#2d3c49}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--ink);font:1.0625rem/1.6 system-ui,sans-serif}\
main{width:100%;max-width:30rem;padding:2.5rem;background:var(--paper);border:1px solid var(--edge);border-top:4px solid var(--sea);border-radius:.5rem}\
h1{margin:0 0 .5rem;font-size:1.625rem;line-height:1.25}\
p{margin:0;color:var(--soft)}\
form{margin:1.75rem 0 0}\
button{min-height:3rem;padding:.75rem 1.75rem;font:inherit;font-weight:600;color:var(--paper);background:var(--sea);border:0;border-radius:.375rem;cursor:pointer}\
button:hover{filter:brightness(1.12)}\
button:focus-visible{outline:3px solid var(--sea);outline-offset:3px}\
@media(max-width:30rem){main{padding:1.75rem 1.5rem}button{width:100%}}";

impl Language {
    const ALL: [Self; 6] = [Self::En, Self::Zh, Self::Fr, Self::Es, Self::De, Self::Ru];

    /// What an `Accept-Language` header likes best (RFC 9110 §12.5.4) among what we have; of equals
    /// the first named. English when there is none.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        let mut best = (Self::En, 0.0);
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let wish = parts.next().and_then(Self::of_range);
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            let weight = quality.map_or(1.0, |text| text.parse::<f32>().unwrap_or(0.0));
            if let Some(language) = wish
                && best.1 < weight
            {
                best = (language, weight);
            }
        }
        best.0
    }

    fn of_range(range: &str) -> Option<Self> {
        let primary = range.split('-').next()?;
        let known = |language: &Self| {
            let tag = language.words().tag;
            tag.split('-').next().is_some_and(|tag| tag.eq_ignore_ascii_case(primary))
        };
        Self::ALL.into_iter().find(known)
    }

    fn words(self) -> &'static Words {
        match self {
            Self::En => &EN,
            Self::Zh => &ZH,
            Self::Fr => &FR,
            Self::Es => &ES,
            Self::De => &DE,
            Self::Ru => &RU,
        }
    }
}

/// The whole page as HTML.
#[must_use]
pub fn html(page: Page, language: Language) -> String {
    let words = language.words();
    let (title, text, label) = match page {
        Page::Ask => with_button(words.ask),
        Page::Done => (words.done[0], words.done[1], None),
        Page::Failed => with_button(words.failed),
    };
    let tag = words.tag;
    let form = label.map(button).unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{text}</p>\n\
         {form}</main>\n</body>\n</html>\n"
    )
}

fn with_button([title, text, label]: [&str; 3]) -> (&str, &str, Option<&str>) {
    (title, text, Some(label))
}

/// Without an action a form goes to the address its page came from.
fn button(label: &str) -> String {
    let (name, value) = BUTTON.split_once('=').unwrap_or((BUTTON, ""));
    format!(
        "<form method=\"post\"><button name=\"{name}\" value=\"{value}\">{label}</button></form>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{Language, Page, html};

    #[test]
    fn the_language_is_the_one_liked_best() {
        let cases = [
            ("", Language::En),
            ("*", Language::En),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("ZH-tw", Language::Zh),
            ("fr-CA", Language::Fr),
            ("ja,fr;q=0.5,de;q=0.7", Language::De),
            ("de;q=0,es;q=0.1", Language::Es),
            ("ru, en", Language::Ru),
            ("pt-BR,ja", Language::En),
            ("de;q=x,ru;q=NaN", Language::En),
            (",;;q=,fr-;q=0.3", Language::Fr),
            ("fra", Language::En),
        ];
        for (header, want) in cases {
            assert_eq!(Language::accepted(header), want, "{header:?}");
        }
    }

    #[test]
    fn pages_ask_or_tell_and_carry_nothing_foreign() {
        for language in Language::ALL {
            for (page, asks) in [(Page::Ask, true), (Page::Done, false), (Page::Failed, true)] {
                let html = html(page, language);
                assert_eq!(html.matches("<button ").count(), usize::from(asks), "{html}");
                assert!(html.contains("lang=\"") && html.contains("<h1>"));
                for foreign in ["<script", "http:", "https:", "//", "url(", "src=", "href="] {
                    assert!(!html.contains(foreign), "{foreign} in {html}");
                }
            }
        }
    }
}
