//! A browser's name for people, out of its User-Agent: only to tell one's own sessions apart, never to decide.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// `Firefox`; the header's own beginning where it is nobody known.
    pub browser: String,
    pub system: &'static str,
}

impl Agent {
    pub fn of(user_agent: &str) -> Self {
        // The order counts: each also claims to be some of those after it.
        const BROWSERS: &[(&str, &str)] = &[
            ("Edg/", "Edge"),
            ("OPR/", "Opera"),
            ("Firefox/", "Firefox"),
            ("FxiOS/", "Firefox"),
            ("CriOS/", "Chrome"),
            ("Chrome/", "Chrome"),
            ("Safari/", "Safari"),
            ("curl/", "curl"),
        ];
        const SYSTEMS: &[(&str, &str)] = &[
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Android", "Android"),
            ("Windows", "Windows"),
            ("Macintosh", "Mac"),
            ("CrOS", "ChromeOS"),
            ("Linux", "Linux"),
            ("BSD", "BSD"),
        ];
        let find = |known: &[(&str, &'static str)]| {
            known
                .iter()
                .find(|(mark, _)| user_agent.contains(mark))
                .map(|(_, name)| *name)
        };
        let own: String = user_agent.trim().chars().take(40).collect();
        let browser = match find(BROWSERS) {
            Some(browser) => browser.to_owned(),
            None if own.is_empty() => "An unnamed browser".to_owned(),
            None => own,
        };
        Self {
            browser,
            system: find(SYSTEMS).unwrap_or("unknown system"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Agent;

    #[test]
    fn names() {
        for (agent, browser, system) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Firefox",
                "Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36 Edg/141.0",
                "Edge",
                "Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1",
                "Safari",
                "iPhone",
            ),
            ("", "An unnamed browser", "unknown system"),
            ("weird/1.0", "weird/1.0", "unknown system"),
        ] {
            let found = Agent::of(agent);
            assert_eq!((found.browser.as_str(), found.system), (browser, system));
        }
    }
}
