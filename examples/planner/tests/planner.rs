//! The contract of the planner's resources, and the rules of their own.

use rollbook_tests::{Backend, Stage, TestApp, id_of};
use serde_json::json;

rollbook_tests::contract!(planner::product());

async fn stage(backend: Backend) -> Stage {
    Stage::set_in(TestApp::start_product(planner::product(), backend).await).await
}

#[tokio::test]
async fn archiving_has_a_word_of_its_own() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let stage = stage(backend).await;
        let new =
            json!({"organization_id": stage.organization, "slug": "apollo", "name": "Apollo"});
        let project = id_of(&stage.owner.post("/v1/projects", new).await.created());
        let path = format!("/v1/projects/{project}");
        stage
            .owner
            .patch(&path, json!({"status": "archived"}))
            .await
            .ok();
        stage
            .owner
            .patch(&path, json!({"status": "active"}))
            .await
            .ok();
        let events = stage.app.events_of(project).await;
        let told: Vec<_> = events.iter().map(|event| &event["event_type"]).collect();
        assert_eq!(
            told,
            ["PROJECT.CREATED", "PROJECT.ARCHIVED", "PROJECT.REACTIVATED"]
        );
    }
}

#[tokio::test]
async fn a_part_is_of_the_same_project_and_who_works_on_it_is_a_member() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let stage = stage(backend).await;
        let mut projects = Vec::new();
        for slug in ["apollo", "gemini"] {
            let new = json!({"organization_id": stage.organization, "slug": slug, "name": slug});
            projects.push(id_of(
                &stage.owner.post("/v1/projects", new).await.created(),
            ));
        }
        let new = |project, parent| json!({"organization_id": stage.organization, "project_id": project, "parent_id": parent, "title": "Land"});
        let all = "/v1/requirements";
        let whole = id_of(
            &stage
                .owner
                .post(all, new(projects[0], None))
                .await
                .created(),
        );
        let part = stage
            .owner
            .post(all, new(projects[0], Some(whole)))
            .await
            .created();
        let refused = stage.owner.post(all, new(projects[1], Some(whole))).await;
        assert_eq!(
            refused.is_problem(422, "invalid")["errors"][0]["code"],
            "another-project"
        );
        let path = format!("{all}/{whole}");
        let itself = stage.owner.patch(&path, json!({"parent_id": whole})).await;
        itself.is_problem(422, "invalid");
        let somebody = json!({"assignee_id": stage.outsider.user_id()});
        stage
            .owner
            .patch(&path, somebody.clone())
            .await
            .is_problem(404, "not-found");
        stage
            .app
            .join(stage.organization, &stage.outsider, "member")
            .await;
        stage.owner.patch(&path, somebody).await.ok();
        // With a project goes what it has to achieve, and with a requirement its parts.
        stage.owner.delete(&path).await.expect(204);
        let part = format!("{all}/{}", id_of(&part));
        stage.owner.get(&part).await.is_problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_comment_is_on_one_thing_and_its_authors_alone() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let stage = stage(backend).await;
        let new =
            json!({"organization_id": stage.organization, "slug": "apollo", "name": "Apollo"});
        let project = id_of(&stage.owner.post("/v1/projects", new).await.created());
        let member = stage.app.member(stage.organization, "member").await;
        let viewer = stage.app.member(stage.organization, "viewer").await;
        let new = |project| json!({"organization_id": stage.organization, "project_id": project, "body": "Go"});
        let nothing = member.post("/v1/comments", new(None)).await;
        assert_eq!(
            nothing.is_problem(422, "invalid")["errors"][0]["code"],
            "either-or"
        );
        viewer
            .post("/v1/comments", new(Some(project)))
            .await
            .is_problem(403, "forbidden");
        let comment = member
            .post("/v1/comments", new(Some(project)))
            .await
            .created();
        let path = format!("/v1/comments/{}", id_of(&comment));
        viewer.get(&path).await.ok();
        let edit = json!({"body": "Stop"});
        stage
            .owner
            .patch(&path, edit.clone())
            .await
            .is_problem(403, "forbidden");
        stage.owner.delete(&path).await.is_problem(403, "forbidden");
        member.patch(&path, edit).await.ok();
        member.delete(&path).await.expect(204);
    }
}
