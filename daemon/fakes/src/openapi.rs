//! A service's published OpenAPI document as a judge of requests: does this path exist, may it be asked in this way, is
//! every field one that the document knows and of the shape it says.
//!
//! Stricter than most services: a query parameter, form field or body member that the document does not name is a
//! violation, because a stand-in exists to catch misspelt requests. Not looked at: `format` (services take more than
//! its names promise, such as an empty URL), `security` and `servers` (a stand-in checks keys itself), headers that
//! are not named, bodies that are neither JSON nor a form. References to other documents are refused.
//!
//! Reads OpenAPI 3.0 (`nullable`) and 3.1.

mod form;
mod schema;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use self::form::Field;
use self::schema::Shape;

/// A document, ready to judge.
pub struct OpenApi {
    document: Value,
    /// Those with more literal text in their path first, so that `Local.json` is not taken for `{Sid}.json`.
    operations: Vec<Operation>,
}

/// One method of one path.
struct Operation {
    method: String,
    template: String,
    segments: Vec<Segment>,
    path: Vec<Field>,
    query: Vec<Field>,
    headers: Vec<Field>,
    body: Option<Body>,
}

/// `before{name}after`, or all literal when there is no name.
struct Segment {
    before: String,
    name: Option<String>,
    after: String,
}

struct Body {
    required: bool,
    json: Option<Shape>,
    form: Option<Vec<Field>>,
    /// All content types that are taken, for the words of a violation.
    types: Vec<String>,
}

/// A request as it came over the wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// In capitals, as sent.
    pub method: &'r str,
    /// Without the query, still percent-encoded.
    pub path: &'r str,
    /// Without its `?`; empty when there is none.
    pub query: &'r str,
    /// In the order sent; names in any case.
    pub headers: &'r [(&'r str, &'r str)],
    /// As sent.
    pub body: &'r [u8],
}

impl Request<'_> {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }
}

/// What a request was found to ask for. Values are there as far as they could be read, also beside violations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// The path as the document writes it, such as `/v1/text-to-speech/{voice_id}/stream`.
    pub template: String,
    /// The parameters of the path, decoded.
    pub path: BTreeMap<String, String>,
    /// The query, decoded, in the order sent and with its repeats.
    pub query: Vec<(String, String)>,
    /// The fields of a form, likewise; empty for other bodies.
    pub form: Vec<(String, String)>,
    /// A JSON body; null for other bodies.
    pub json: Value,
    /// Everything the document does not allow; empty for a good request.
    pub violations: Vec<Violation>,
}

impl Asked {
    /// The first value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    /// The first value of a form field.
    pub fn form(&self, name: &str) -> Option<&str> {
        first(&self.form, name)
    }
}

fn first<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

/// One thing the document does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: `path`, `query`, `header`, `form` or `body`, and below it names and indexes.
    pub at: Vec<String>,
    /// What is wrong there.
    pub what: String,
}

impl Violation {
    fn new(part: &str, name: &str, what: impl Into<String>) -> Violation {
        let at = [part, name]
            .into_iter()
            .filter(|step| !step.is_empty())
            .map(str::to_owned)
            .collect();
        Violation {
            at,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at.join("."), self.what)
    }
}

/// Why no operation could be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The document has no such path: usually answered with 404.
    Path,
    /// The path exists, but not with this method: usually answered with 405.
    Method {
        /// The methods it does have.
        allowed: Vec<String>,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Path => f.write_str("the specification has no such path"),
            Unknown::Method { allowed } => {
                write!(
                    f,
                    "the specification has this path for {} only",
                    allowed.join(", ")
                )
            }
        }
    }
}

impl OpenApi {
    /// Makes a judge of the text of a document in JSON.
    ///
    /// # Errors
    /// A sentence, if it is no OpenAPI document, refers outside of itself, or holds a schema that cannot be compiled.
    pub fn parse(text: &str) -> Result<OpenApi, String> {
        let document = serde_json::from_str(text).map_err(|e| format!("this is no JSON: {e}"))?;
        OpenApi::new(document)
    }

    /// As [`OpenApi::parse`], for a document that was read already, for instance to add what is newer than it.
    ///
    /// # Errors
    /// As there.
    pub fn new(mut document: Value) -> Result<OpenApi, String> {
        let version = document["openapi"].as_str().unwrap_or_default();
        match version {
            v if v.starts_with("3.0") => schema::null_as_type(&mut document),
            v if v.starts_with("3.1") => {}
            other => return Err(format!("OpenAPI 3.0 or 3.1 is read here, not {other:?}")),
        }
        let paths = document["paths"]
            .as_object()
            .ok_or("the document has no paths")?;
        let mut operations = Vec::new();
        for (template, item) in paths {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if METHODS.contains(&method.as_str()) {
                    let made = Operation::new(&document, template, method, item, operation);
                    operations.push(made.map_err(|e| format!("{method} {template}: {e}"))?);
                }
            }
        }
        operations.sort_by_key(|o| o.segments.iter().filter(|s| s.name.is_some()).count());
        Ok(OpenApi {
            document,
            operations,
        })
    }

    /// Judges a request.
    ///
    /// # Errors
    /// [`Unknown`] when the document knows no such operation; everything else is a violation in the answer.
    pub fn check(&self, request: &Request<'_>) -> Result<Asked, Unknown> {
        let here: Vec<_> = self
            .operations
            .iter()
            .filter_map(|operation| Some((operation, operation.values(request.path)?)))
            .collect();
        // The most literal path decides, whatever its methods.
        let template = &here.first().ok_or(Unknown::Path)?.0.template;
        let same = || here.iter().filter(|(o, _)| o.template == *template);
        let Some((operation, path)) = same().find(|(o, _)| o.method == request.method) else {
            let allowed = same().map(|(o, _)| o.method.clone());
            return Err(Unknown::Method {
                allowed: allowed.collect(),
            });
        };
        Ok(operation.judge(path, request))
    }

    /// Judges an answer of a stand-in, so that stand-ins stay true: what does not fit the schema of this status, or an
    /// empty list. A status without a JSON schema fits anything. Members that are not named are allowed.
    ///
    /// # Errors
    /// A sentence, when the document has no such operation or status.
    pub fn check_answer(
        &self,
        method: &str,
        template: &str,
        status: u16,
        json: &Value,
    ) -> Result<Vec<Violation>, String> {
        let answers = &self.document["paths"][template][method.to_lowercase()]["responses"];
        let answer = answers
            .get(status.to_string())
            .ok_or_else(|| format!("{method} {template} never answers {status}"))?;
        match answer["content"]["application/json"].get("schema") {
            Some(schema) => Ok(Shape::new(&self.document, schema)?.violations("body", json)),
            None => Ok(Vec::new()),
        }
    }
}

const METHODS: &[&str] = &["delete", "get", "patch", "post", "put"];

impl Operation {
    fn new(
        document: &Value,
        template: &str,
        method: &str,
        item: &Value,
        operation: &Value,
    ) -> Result<Operation, String> {
        let (mut path, mut query, mut headers) = (Vec::new(), Vec::new(), Vec::new());
        let lists = [&item["parameters"], &operation["parameters"]];
        for parameter in lists.into_iter().filter_map(Value::as_array).flatten() {
            let parameter = schema::followed(document, parameter)?;
            let field = Field::new(
                document,
                parameter["name"]
                    .as_str()
                    .ok_or("a parameter without a name")?,
                &parameter["schema"],
                parameter["required"] == true,
            )?;
            let list = match parameter["in"].as_str() {
                Some("path") => &mut path,
                Some("query") => &mut query,
                Some("header") => &mut headers,
                _ => continue,
            };
            // An operation's own parameter replaces that of its path.
            list.retain(|known: &Field| known.name != field.name);
            list.push(field);
        }
        Ok(Operation {
            method: method.to_uppercase(),
            template: template.to_owned(),
            segments: template.split('/').map(Segment::new).collect(),
            path,
            query,
            headers,
            body: match operation.get("requestBody") {
                Some(body) => Some(Body::new(document, schema::followed(document, body)?)?),
                None => None,
            },
        })
    }

    /// The values of the path's parameters, if the path is this one.
    fn values(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let given: Vec<&str> = path.split('/').collect();
        if given.len() != self.segments.len() {
            return None;
        }
        let mut values = BTreeMap::new();
        for (segment, given) in self.segments.iter().zip(given) {
            let value = given
                .strip_prefix(segment.before.as_str())?
                .strip_suffix(segment.after.as_str())?;
            match &segment.name {
                Some(_) if value.is_empty() => return None,
                Some(name) => {
                    values.insert(name.clone(), form::decoded(value, false));
                }
                None if value.is_empty() => {}
                None => return None,
            }
        }
        Some(values)
    }

    fn judge(&self, path: &BTreeMap<String, String>, request: &Request<'_>) -> Asked {
        let mut asked = Asked {
            template: self.template.clone(),
            path: path.clone(),
            query: form::pairs(request.query.as_bytes()),
            ..Asked::default()
        };
        let path: Vec<_> = asked.path.clone().into_iter().collect();
        asked.violations = form::judge("path", &self.path, &path);
        asked
            .violations
            .extend(form::judge("query", &self.query, &asked.query));
        for field in &self.headers {
            let pair = request
                .header(&field.name)
                .map(|value| (field.name.clone(), value.to_owned()));
            let pairs: Vec<_> = pair.into_iter().collect();
            asked
                .violations
                .extend(form::judge("header", std::slice::from_ref(field), &pairs));
        }
        match &self.body {
            Some(body) => body.judge(request, &mut asked),
            None if request.body.is_empty() => {}
            None => asked
                .violations
                .push(Violation::new("body", "", "this operation takes none")),
        }
        asked
    }
}

impl Segment {
    fn new(text: &str) -> Segment {
        let named = text.split_once('{').and_then(|(before, rest)| {
            let (name, after) = rest.split_once('}')?;
            Some((before, name, after))
        });
        let (before, name, after) = match named {
            Some((before, name, after)) => (before, Some(name.to_owned()), after),
            None => (text, None, ""),
        };
        Segment {
            before: before.to_owned(),
            name,
            after: after.to_owned(),
        }
    }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

impl Body {
    fn new(document: &Value, body: &Value) -> Result<Body, String> {
        let content = &body["content"];
        let schema = |kind: &str| content.get(kind).and_then(|content| content.get("schema"));
        Ok(Body {
            required: body["required"] == true,
            json: match schema(JSON) {
                Some(schema) => Some(Shape::closed(document, schema)?),
                None => None,
            },
            form: match schema(FORM) {
                Some(schema) => Some(form::fields(document, schema)?),
                None => None,
            },
            types: content
                .as_object()
                .map(|content| content.keys().cloned().collect())
                .unwrap_or_default(),
        })
    }

    fn judge(&self, request: &Request<'_>, asked: &mut Asked) {
        if request.body.is_empty() && !self.required {
            // An empty form still lacks the fields it must have.
            if let Some(fields) = &self.form {
                asked.violations.extend(form::judge("form", fields, &[]));
            }
            return;
        }
        if request.body.is_empty() {
            asked
                .violations
                .push(Violation::new("body", "", "it is required and empty"));
            return;
        }
        let sent = request.header("content-type").unwrap_or_default();
        let kind = sent.split(';').next().unwrap_or_default().trim();
        match (kind.to_ascii_lowercase().as_str(), &self.json, &self.form) {
            (JSON, Some(shape), _) => match serde_json::from_slice(request.body) {
                Ok(json) => {
                    asked.violations.extend(shape.violations("body", &json));
                    asked.json = json;
                }
                Err(e) => {
                    asked
                        .violations
                        .push(Violation::new("body", "", format!("it is no JSON: {e}")))
                }
            },
            (FORM, _, Some(fields)) => {
                asked.form = form::pairs(request.body);
                asked
                    .violations
                    .extend(form::judge("form", fields, &asked.form));
            }
            (kind, ..) if self.types.iter().any(|known| known == kind) => {}
            _ => asked.violations.push(Violation::new(
                "header",
                "content-type",
                format!("{sent:?} is not one of {}", self.types.join(", ")),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
