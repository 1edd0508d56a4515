//! Texts of a certain form: names, addresses, URLs, specifiers.

use std::net::SocketAddr;

use serde_json::Value as Json;

use super::{super::node::Value, super::reader::Spot, Kind};

/// A string that must parse.
pub(crate) struct Form<T> {
    pub(crate) name: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) parse: fn(&str) -> Option<T>,
    pub(crate) show: fn(&T) -> String,
    /// What may have been meant by a text that does not parse.
    pub(crate) hint: fn(&str) -> Option<String>,
    pub(crate) secret: bool,
}

impl<T> Kind for Form<T> {
    type Out = T;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn expected(&self) -> String {
        self.expected.to_owned()
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<T> {
        let Value::Text(text) = value else {
            spot.wrong(self.expected, value);
            return None;
        };
        let parsed = (self.parse)(text);
        if parsed.is_none() {
            match (self.hint)(text) {
                Some(hint) => spot.wrong_with_hint(self.expected, value, hint),
                None => spot.wrong(self.expected, value),
            }
        }
        parsed
    }

    fn show(&self, value: &T) -> Json {
        (self.show)(value).into()
    }

    fn secret(&self) -> bool {
        self.secret
    }
}

const fn text(
    name: &'static str,
    expected: &'static str,
    parse: fn(&str) -> Option<String>,
) -> Form<String> {
    Form { name, expected, parse, show: String::clone, hint: |_| None, secret: false }
}

/// Anything but nothing.
pub(crate) const TEXT: Form<String> =
    text("string", "a string that is not empty", |text| when(text, !text.trim().is_empty()));

/// What is shown in lists, URLs and file names.
pub(crate) const NAME: Form<String> =
    text("name", "up to 128 letters, digits, `_`, `-`, `.`, `:` and `/`", |text| {
        when(text, is_name(text))
    });

pub(crate) const PARAMETER: Form<String> =
    text("parameter name", "the name of a parameter", |text| when(text, !text.trim().is_empty()));

pub(crate) const ADDRESS: Form<SocketAddr> = Form {
    name: "address",
    expected: "an IP address and a port such as \"127.0.0.1:7878\" or \"[::1]:7878\"",
    parse: |text| text.parse().ok(),
    show: SocketAddr::to_string,
    hint: |text| {
        let port =
            text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
        port.parse::<u16>().ok().map(|port| format!("write \"127.0.0.1:{port}\""))
    },
    secret: false,
};

pub(crate) const URL: Form<String> = Form {
    hint: |text| text.contains('@').then(|| "a password has no place here".to_owned()),
    ..text("URL", "a URL that starts with http:// or https:// and holds no password", |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let host = rest.split('/').next().unwrap_or_default();
        when(text, is_host(host))
    })
};

pub(crate) const HOST: Form<String> = Form {
    hint: |text| {
        let host = text.split_once("://")?.1.split('/').next()?;
        is_host(host).then(|| format!("write \"{host}\""))
    },
    ..text(
        "host",
        "a host name such as \"jobs.example.org\", with a port if it is not the usual one",
        |text| when(text, is_host(text) && !text.contains('*')),
    )
};

pub(crate) const WEB_ORIGIN: Form<String> = Form {
    hint: |text| {
        let origin = text.trim_end_matches('/');
        (origin != text && is_origin(origin)).then(|| format!("write \"{origin}\""))
    },
    ..text("origin", "an origin such as \"https://jobs.example.org\", without a path", |text| {
        when(text, is_origin(text))
    })
};

/// An environment variable, or all whose names begin alike.
pub(crate) const ENVIRONMENT_VARIABLE: Form<String> = text(
    "environment variable",
    "the name of an environment variable such as \"ACME_TOKEN\", or \"ACME_*\" for all that begin so; `LONGSHORE_` is the host's own",
    |text| {
        let name = text.strip_suffix('*').unwrap_or(text);
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        when(text, !name.is_empty() && name.chars().all(fits) && !name.starts_with("LONGSHORE_"))
    },
);

/// A Python function by its full name.
pub(crate) const FUNCTION: Form<String> = Form {
    hint: |text| {
        let (module, function) = text.rsplit_once('.')?;
        let written = format!("{module}:{function}");
        is_function(&written).then(|| format!("write \"{written}\""))
    },
    ..text("function", "a Python function such as \"package.module:function\"", |text| {
        when(text, is_function(text))
    })
};

/// A Python module by its full name.
pub(crate) const MODULE: Form<String> =
    text("module", "a Python module such as \"package.module\"", |text| {
        when(text, is_dotted(text))
    });

/// A Python exception class by its full name.
pub(crate) const CLASS: Form<String> = text(
    "class",
    "an exception class by its full name, such as \"requests.exceptions.ConnectionError\"",
    |text| when(text, is_dotted(text)),
);

/// A pip requirement specifier. An option or a path would reach beyond the requirement: into files
/// of whichever machine happens to build the environment.
pub(crate) const REQUIREMENT: Form<String> = text(
    "requirement",
    "a pip requirement such as \"scikit-learn==1.5.0\", not an option and not a file",
    |text| {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let direct = text.contains("file:")
            || text.contains('/') && !text.contains(" @ ") && !text.contains('@');
        when(text, starts_well && !direct && !text.contains('\n'))
    },
);

/// A Kubernetes quantity.
pub(crate) const QUANTITY: Form<String> =
    text("quantity", "a quantity such as \"500m\", \"2\" or \"1Gi\"", |text| {
        when(text, quantity(text).is_some())
    });

/// How much a quantity is, in whole units; `None` if it is not one.
pub(crate) fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 14] = [
        ("", 1.0),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
    ];
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let (_, unit) = SUFFIXES.iter().find(|(suffix, _)| *suffix == &text[end..])?;
    Some(number * unit)
}

fn when(text: &str, right: bool) -> Option<String> {
    right.then(|| text.to_owned())
}

pub(crate) fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:/".contains(c))
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || ".-_:[]%".contains(c))
}

fn is_origin(text: &str) -> bool {
    text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).is_some_and(is_host)
}

fn is_function(text: &str) -> bool {
    text.split_once(':').is_some_and(|(module, function)| is_dotted(module) && is_dotted(function))
}

fn is_dotted(text: &str) -> bool {
    text.split('.').all(|part| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}
