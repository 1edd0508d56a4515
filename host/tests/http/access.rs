use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use longshore::http::{PREFIXES, document};

use crate::{
    agreed,
    site::{ALICE, Answer, Site, plain},
};

/// Every documented operation, under every prefix, with a job's id in its path.
fn operations(id: &str) -> Vec<(Method, String)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.replace("{id}", id);
            operations.extend(PREFIXES.map(|prefix| (method.clone(), format!("{prefix}{path}"))));
        }
    }
    operations.push((Method::POST, format!("{}/jobs", PREFIXES[0])));
    operations.push((Method::POST, format!("{}/jobs", PREFIXES[1])));
    operations.push((Method::GET, "/health".to_owned()));
    operations
}

async fn with(site: &Site, method: &Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn nothing_but_health_answers_without_a_token_and_every_refusal_is_the_same() {
    let site = Site::new().await;
    let id = site.submitted(ALICE).await;
    let bearer = format!("Bearer {}", site.admin);
    let basic = format!("Basic {}", site.admin);
    let refused: [&[(&str, &str)]; 9] = [
        &[],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer wrong-wrong-wrong-wrong")],
        &[("authorization", &site.admin)],
        &[("authorization", &basic)],
        &[("authorization", &bearer), ("authorization", "Bearer x")],
        &[("authorization", &bearer), ("x-mlflow-job-token", "t"), ("x-mlflow-job-id", &id)],
    ];
    let mut bodies = std::collections::BTreeSet::new();
    let mut paths = operations(&id);
    paths.extend([
        (Method::GET, "/".to_owned()),
        (Method::GET, "/api/3.0/nothing".to_owned()),
        (Method::DELETE, format!("/api/3.0/jobs/{id}")),
        (Method::GET, "/api/3.0//jobs/".to_owned()),
        (Method::POST, format!("/api/3.0/jobs/{id}/result")),
        (Method::HEAD, format!("/api/3.0/jobs/{id}")),
        (Method::OPTIONS, "/api/3.0/jobs/".to_owned()),
    ]);
    for (method, path) in &paths {
        for headers in refused {
            let answer = with(&site, method, path, headers).await;
            if path.contains("/health") {
                assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
                continue;
            }
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {headers:?}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            if *method != Method::HEAD {
                bodies.insert(answer.text().to_owned());
            }
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    agreed("unauthorized", &serde_json::from_str(bodies.first().unwrap()).unwrap());
    assert_eq!(site.get(ALICE, &format!("/jobs/{id}")).await.ok()["status"], "PENDING");
}

#[tokio::test]
async fn every_documented_operation_is_there_under_every_prefix_and_no_other_method_is() {
    let site = Site::new().await;
    let id = site.submitted(ALICE).await;
    let bearer = format!("Bearer {}", site.admin);
    let headers = [("authorization", bearer.as_str())];
    let documented = operations(&id);
    for (_, path) in &documented {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = with(&site, &method, path, &headers).await;
            let is_documented = documented.contains(&(method.clone(), path.clone()));
            let is_there = answer.status != StatusCode::METHOD_NOT_ALLOWED
                && (answer.status != StatusCode::NOT_FOUND || answer.error().1 != "no_such_path");
            assert_eq!(is_there, is_documented, "{method} {path}: {}", answer.status);
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_say_so() {
    let site = Site::new().await;
    assert_eq!(site.get(ALICE, "/nothing").await.error(), plain(404, "no_such_path"));
    let wrong = site.get(ALICE, "/jobs/").await;
    assert_eq!(wrong.error(), plain(405, "method_not_allowed"));
    assert_eq!(wrong.headers["allow"], "POST");
}

#[tokio::test]
async fn what_tells_of_everybody_is_for_admins() {
    let site = Site::new().await;
    for path in ["/plugins", "/recovery"] {
        let refused = site.get(ALICE, path).await;
        assert_eq!(refused.error(), plain(403, "admin_only"), "{path}");
        site.get(&site.admin, path).await.ok();
    }
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_before_anything_else() {
    let site = Site::new().await;
    let bearer = format!("Bearer {}", site.admin);
    let get = async |host: &str, path: &str| {
        with(&site, &Method::GET, path, &[("host", host), ("authorization", &bearer)]).await
    };
    for host in
        ["localhost:7878", "127.0.0.1", "[::1]:7878", "jobs.example.org", "queue.example.org:8080"]
    {
        assert_eq!(get(host, "/api/3.0/server-info").await.status, StatusCode::OK, "{host}");
    }
    for host in ["evil.example", "evil.example:7878", "localhost.evil.example", "10.0.0.1:7878", ""]
    {
        for path in ["/api/3.0/server-info", "/health/live", "/nothing"] {
            assert_eq!(
                get(host, path).await.error(),
                plain(403, "forbidden_host"),
                "{host} {path}"
            );
        }
    }
    let absolute = get("localhost", "http://evil.example/api/3.0/server-info").await;
    assert_eq!(absolute.error(), plain(403, "forbidden_host"));
}

#[tokio::test]
async fn a_page_that_is_not_trusted_is_refused_even_with_a_token() {
    let site = Site::new().await;
    let bearer = format!("Bearer {}", site.admin);
    let get = async |origin: &str| {
        let headers = [("origin", origin), ("authorization", bearer.as_str())];
        with(&site, &Method::GET, "/api/3.0/server-info", &headers).await
    };
    for origin in ["https://ui.example.org", "https://jobs.example.org"] {
        let answer = get(origin).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
        assert_eq!(answer.headers["vary"], "origin");
    }
    for origin in
        ["null", "https://evil.example", "http://ui.example.org", "http://localhost:3000", ""]
    {
        let answer = get(origin).await;
        assert_eq!(answer.error(), plain(403, "forbidden_origin"), "{origin}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn a_browser_may_ask_first_for_a_trusted_page_only() {
    let site = Site::new().await;
    let ask = async |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        with(&site, &Method::OPTIONS, "/ajax-api/3.0/jobs/", &headers).await
    };
    let trusted = ask("https://ui.example.org").await;
    assert_eq!(trusted.status, StatusCode::NO_CONTENT);
    assert_eq!(trusted.headers["access-control-allow-headers"], "authorization, content-type");
    assert!(!trusted.headers.contains_key("access-control-allow-credentials"));
    assert_eq!(ask("https://evil.example").await.error(), plain(403, "forbidden_origin"));
}

#[tokio::test]
async fn answers_carry_an_id_and_are_kept_by_nobody() {
    let site = Site::new().await;
    let first = with(&site, &Method::GET, "/health/live", &[]).await;
    let second = with(
        &site,
        &Method::GET,
        "/api/3.0/jobs/x",
        &[(header::AUTHORIZATION.as_str(), "Bearer x")],
    )
    .await;
    assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
    for answer in [first, second] {
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
}
